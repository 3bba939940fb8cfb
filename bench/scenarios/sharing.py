"""SQLite and PostgreSQL side by side, and several daemons on one PostgreSQL."""

import contextlib
import time
from collections.abc import Iterator

from bench import load, postgres
from bench.context import BODY, Bench
from bench.daemon import Daemon
from bench.http1 import check, connect, own_request, send_request
from bench.scenarios import drain, wake
from bench.stats import RATE

CLIENTS = (1, 16, 64)


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
    with postgres.serving(programs, bench.folder) as url:
        settings = {"databaseUrl": url, "maxPendingPerMailbox": 10**9}
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
                _together(bench, daemons[:count])


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


def _together(bench: Bench, daemons: list[Daemon]) -> None:
    """Sends of 64 clients, spread over the daemons, each to a mailbox of its own."""
    requests = [send_request(f"sender-{n}", f"peer-{n}", BODY) for n in range(64)]
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(daemons[n % len(daemons)].address)) for n in range(64)]
        load.closed_loop(crowd, requests.__getitem__, 128)
        for _ in range(bench.scale.rounds):
            result = load.closed_loop(
                crowd, requests.__getitem__, max(64, bench.scale.requests * 4)
            )
            name = f"sharing.daemons.{len(daemons)}"
            title = f"durable sends a second, 64 clients, daemons: {len(daemons)}"
            bench.add(name, title, [result.rate], RATE)
