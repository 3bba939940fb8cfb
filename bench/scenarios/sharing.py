"""SQLite and PostgreSQL side by side, and several daemons on one PostgreSQL."""

import contextlib
import time
from collections.abc import Iterator

from bench import backlog, load, postgres
from bench.context import BODY, Bench
from bench.daemon import Daemon, running
from bench.http1 import Connection, build, check, connect, own_request, send_request
from bench.machine import cpu_seconds
from bench.scenarios import drain, wake
from bench.stats import RATE

CLIENTS = (1, 16, 64)
_BIG = "big"
_SEND = send_request("sender", _BIG, BODY)
_PEEK = build("GET", f"/v1/peek?name={_BIG}")
_TAKE = own_request("POST", "/v1/check-inbox", _BIG, limit=1)


def run(bench: Bench) -> None:
    """Measure both, where there is a PostgreSQL."""
    programs = postgres.find()
    if programs is None:
        bench.skip("sharing", "no PostgreSQL on this machine")
        return
    with bench.daemon(maxPendingPerMailbox=10**9) as daemon:
        _sends(bench, daemon, "sqlite")
        waits = wake.over_http(daemon, "waiter", bench.scale.requests)
        bench.add("sharing.sqlite.wake", "wake, SQLite", waits)
        drain.by_follow(bench, daemon, "sharing.sqlite.follow", "SQLite")
    with postgres.serving(programs, bench.folder) as server:
        settings = {"databaseUrl": server.url, "maxPendingPerMailbox": 10**9}
        with contextlib.ExitStack() as stack:
            daemons = [stack.enter_context(bench.daemon(**settings)) for _ in range(2)]
            _sends(bench, daemons[0], "postgres")
            waits = wake.over_http(daemons[0], "waiter", bench.scale.requests)
            bench.add("sharing.postgres.wake", "wake, PostgreSQL, the same daemon", waits)
            waits = _wake_across(daemons[0], daemons[1], bench.scale.requests)
            bench.add("sharing.postgres.across", "wake, PostgreSQL, another daemon", waits)
            drain.by_follow(bench, daemons[0], "sharing.postgres.follow", "PostgreSQL")
            for count in bench.scale.daemons:
                while len(daemons) < count:
                    daemons.append(stack.enter_context(bench.daemon(**settings)))
                _together(bench, daemons[:count], server)
            _growth(bench, daemons[0], server.url)


def _sends(bench: Bench, daemon: Daemon, engine: str) -> None:
    requests = [send_request(f"sender-{n}", f"peer-{n}", BODY) for n in range(max(CLIENTS))]
    for clients in CLIENTS:
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(connect(daemon.address)) for _ in range(clients)]
            load.closed_loop(crowd, requests.__getitem__, clients * 2)
            for _ in range(bench.scale.rounds):
                total = max(bench.scale.requests * 2, clients)
                result = load.closed_loop(crowd, requests.__getitem__, total)
                name = f"sharing.{engine}.send.{clients}"
                title = f"durable sends a second, {engine}, clients: {clients}"
                bench.add(name, title, [result.rate], RATE)
                bench.add(
                    f"{name}.wait", f"durable send, {engine}, clients: {clients}", result.latencies
                )


def _wake_across(here: Daemon, there: Daemon, count: int) -> Iterator[float]:
    """Yield the times from a send on one daemon until a watch on the other has its answer."""
    watch = own_request("GET", "/v1/watch", "across", timeout=60)
    send = send_request("sender", "across", BODY)
    with here.connect() as sender, there.connect() as watcher, there.connect() as beside:
        for _ in range(count):
            watcher.send(watch)
            wake.wait_for_watch(beside, "across")
            begin = time.perf_counter()
            sender.send(send)
            answer = watcher.receive()
            elapsed = (time.perf_counter() - begin) * 1000
            check(answer)
            check(sender.receive())
            yield elapsed


def _together(bench: Bench, daemons: list[Daemon], server: postgres.Server) -> None:
    """Sends of 64 clients, spread over the daemons, each to a mailbox of its own.

    And what each takes of a CPU: whatever takes most is what fills up first.
    """
    requests = [send_request(f"sender-{n}", f"peer-{n}", BODY) for n in range(64)]
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(daemons[n % len(daemons)].address)) for n in range(64)]
        load.closed_loop(crowd, requests.__getitem__, 128)
        for _ in range(bench.scale.rounds):
            total = max(64, bench.scale.requests * 2)
            of_daemons = sum(cpu_seconds(daemon.pid) for daemon in daemons)
            of_server = server.cpu_seconds()
            result = load.closed_loop(crowd, requests.__getitem__, total)
            of_daemons = sum(cpu_seconds(daemon.pid) for daemon in daemons) - of_daemons
            of_server = server.cpu_seconds() - of_server
            name = f"sharing.daemons.{len(daemons)}"
            where = f"64 clients, daemons: {len(daemons)}"
            bench.add(name, f"durable sends a second, {where}", [result.rate], RATE)
            bench.add(f"{name}.cpu", f"CPU of a send, daemon, {where}", [of_daemons * 1000 / total])
            bench.add(
                f"{name}.server", f"CPU of a send, server, {where}", [of_server * 1000 / total]
            )


def _growth(bench: Bench, shared: Daemon, url: str) -> None:
    """A mailbox that grows, on both engines."""
    with bench.home(maxPendingPerMailbox=10**9) as home:
        before = 0
        for size in bench.scale.backlogs:
            backlog.fill_stopped(home, _BIG, size - before)
            backlog.fill_postgres(url, _BIG, size - before)
            before = size
            with running(home) as local, local.connect() as here, shared.connect() as there:
                for _ in range(max(10, bench.scale.requests // 4)):
                    for engine, connection in (("SQLite", here), ("PostgreSQL", there)):
                        _ask(bench, connection, engine, size)


def _ask(bench: Bench, connection: Connection, engine: str, size: int) -> None:
    for verb, request in (("send", _SEND), ("peek", _PEEK), ("claim", _TAKE)):
        begin = time.perf_counter()
        connection.expect(request)
        elapsed = (time.perf_counter() - begin) * 1000
        name = f"sharing.growth.{engine.lower()}.{verb}.{size}"
        bench.add(name, f"{verb}, {size:,} messages waiting, {engine}", [elapsed])
