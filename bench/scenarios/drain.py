"""Draining a backlog: how fast somebody who comes back has read what was sent meanwhile."""

import os
import signal
import time

from bench import processes
from bench.beside import node
from bench.context import Bench, fill, require
from bench.daemon import Daemon
from bench.http1 import build, own_request
from bench.stats import RATE

_CHECK_LIMIT = 100


def run(bench: Bench) -> None:
    """Measure each way of draining."""
    with bench.daemon() as daemon:
        _by_processes(bench, daemon)
        for _ in range(bench.scale.rounds):
            _one_per_request(bench, daemon)
            _by_check_inbox(bench, daemon)
            by_follow(bench, daemon, "drain.follow")


def _by_processes(bench: Bench, daemon: Daemon) -> None:
    """One process a message, taking turns with the bare interpreter and with Node."""
    argv = daemon.home.command("watch", "--block", "--name", "reader")
    environment = daemon.home.environment()
    fill(daemon, "reader", bench.scale.processes + 1)
    processes.whole(argv, environment)
    one_shot = _node(bench, daemon)
    for _ in range(bench.scale.processes):
        bench.bare_python(daemon.home, "drain")
        elapsed = processes.whole(argv, environment)
        bench.add("drain.process", "'watch --block' with mail waiting, whole process", [elapsed])
        bench.add(
            "drain.process.rate",
            "drain by 'watch --block', a process a message",
            [1000 / elapsed],
            RATE,
        )
        if one_shot is not None:
            title = "Node, one 'fetch' with mail waiting, whole process"
            bench.add("beside.node.fetch", title, [one_shot.run()])


def _node(bench: Bench, daemon: Daemon) -> node.OneShot | None:
    program = node.find()
    if program is None:
        bench.skip("node", "no 'node' on the PATH")
        return None
    fill(daemon, "node", bench.scale.processes + 1)
    one_shot = node.OneShot(program, daemon, "node")
    one_shot.run()
    return one_shot


def _one_per_request(bench: Bench, daemon: Daemon) -> None:
    count = bench.scale.drain
    fill(daemon, "http", count)
    request = own_request("GET", "/v1/watch", "http", timeout=0)
    samples = []
    with daemon.connect() as connection:
        for _ in range(count):
            begin = time.perf_counter()
            connection.expect(request)
            samples.append(time.perf_counter() - begin)
        connection.expect(request, 204)
    bench.add(
        "drain.http", f"drain {count:,} over HTTP, one a request", [count / sum(samples)], RATE
    )
    bench.add(
        "drain.http.each", "drain over HTTP, each request", [sample * 1000 for sample in samples]
    )


def _by_check_inbox(bench: Bench, daemon: Daemon) -> None:
    count = bench.scale.drain
    fill(daemon, "checked", count)
    request = own_request("POST", "/v1/check-inbox", "checked", limit=_CHECK_LIMIT)
    taken = 0
    with daemon.connect() as connection:
        begin = time.perf_counter()
        while taken < count:
            messages = connection.expect(request).json()
            require(bool(messages), f"{count - taken} of {count} messages are missing.")
            taken += len(messages)  # type: ignore[arg-type]
        elapsed = time.perf_counter() - begin
    title = f"drain {count:,} by check-inbox, {_CHECK_LIMIT} a request"
    bench.add("drain.check", title, [count / elapsed], RATE)


def by_follow(bench: Bench, daemon: Daemon, name: str, engine: str = "") -> None:
    """From the start of the process until every message is printed and its ack is durable."""
    count = bench.scale.follow
    fill(daemon, "followed", count)
    argv = daemon.home.command("watch", "--follow", "--name", "followed")
    reader, writer = os.pipe()
    begin = time.perf_counter()
    pid = processes.spawn(argv, daemon.home.environment(), stdout=writer)
    os.close(writer)
    try:
        lines = 0
        while lines < count:
            data = os.read(reader, 1024 * 1024)
            require(bool(data), f"'watch --follow' ended after {lines} of {count} messages.")
            lines += data.count(b"\n")
        _wait_until_acked(daemon, "followed")
        elapsed = time.perf_counter() - begin
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(reader)
    where = f", {engine}" if engine else ""
    title = f"drain {count:,} by 'watch --follow', each acked{where}"
    bench.add(name, title, [count / elapsed], RATE)


def _wait_until_acked(daemon: Daemon, mailbox: str) -> None:
    """Return when nothing of *mailbox* waits or is leased: only then can it be deleted."""
    request = build("DELETE", f"/v1/mailbox?name={mailbox}", mailbox)
    with daemon.connect() as connection:
        begin = time.perf_counter()
        while connection.expect(request).json() != {"deleted": True}:
            require(time.perf_counter() - begin < 20, "The acks of 'watch --follow' do not come.")
            time.sleep(0.001)
