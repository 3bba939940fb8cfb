"""Wake: from the call of ``send`` until the other side has the message in its hands."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from bench import processes
from bench.context import BODY, Bench, require
from bench.daemon import Daemon
from bench.http1 import Connection, build, check, own_request, send_request

_LIST = build("GET", "/v1/list")
_SENDERS = 20
_PAUSE_SECONDS = 0.0005


def run(bench: Bench) -> None:
    """Measure every way of being woken."""
    with bench.daemon() as daemon:
        bench.add(
            "wake.http",
            "wake: until a blocked HTTP watch has its answer",
            over_http(daemon, "waiter", bench.scale.requests),
        )
        bench.add(
            "wake.follow",
            "wake: until 'watch --follow' has printed it",
            _follow(daemon, bench.scale.requests),
        )
        bench.add(
            "wake.process",
            "wake: until 'watch --block' has printed it and exited",
            _block(daemon, bench.scale.processes),
        )
        _doorbell(bench, daemon)


def over_http(daemon: Daemon, mailbox: str, count: int) -> Iterator[float]:
    """Yield *count* times from a send until the watch that was blocked has its answer."""
    watch = own_request("GET", "/v1/watch", mailbox, timeout=60)
    send = send_request("sender", mailbox, BODY)
    with daemon.connect() as sender, daemon.connect() as watcher:
        for _ in range(count):
            watcher.send(watch)
            wait_for_watch(sender, mailbox)
            begin = time.perf_counter()
            sender.send(send)
            answer = watcher.receive()
            elapsed = (time.perf_counter() - begin) * 1000
            check(answer)
            _check_receipt(sender)
            yield elapsed


def _follow(daemon: Daemon, count: int) -> Iterator[float]:
    send = send_request("sender", "follower", BODY)
    reader, writer = os.pipe()
    argv = daemon.home.command("watch", "--follow", "--name", "follower")
    pid = processes.spawn(argv, daemon.home.environment(), stdout=writer)
    os.close(writer)
    try:
        with daemon.connect() as sender:
            for _ in range(count):
                wait_for_watch(sender, "follower")
                begin = time.perf_counter()
                sender.send(send)
                line = os.read(reader, 65536)
                elapsed = (time.perf_counter() - begin) * 1000
                require(line.endswith(b"\n"), f"'watch --follow' printed {line!r}.")
                _check_receipt(sender)
                yield elapsed
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(reader)


def _block(daemon: Daemon, count: int) -> Iterator[float]:
    send = send_request("sender", "blocked", BODY)
    argv = daemon.home.command("watch", "--block", "--name", "blocked")
    environment = daemon.home.environment()
    with daemon.connect() as sender:
        for _ in range(count):
            pid = processes.spawn(argv, environment)
            wait_for_watch(sender, "blocked")
            begin = time.perf_counter()
            sender.send(send)
            processes.wait(pid, argv)
            elapsed = (time.perf_counter() - begin) * 1000
            _check_receipt(sender)
            yield elapsed


def _doorbell(bench: Bench, daemon: Daemon) -> None:
    """Until the file that a session's client watches has changed."""
    announce = build("POST", "/v1/session", None, {"sessionId": "bench-session", "name": "bell"})
    look = own_request("POST", "/v1/check-inbox", "bell")
    samples = []
    with daemon.connect() as connection:
        answer = connection.exchange(announce)
        bell = answer.json().get("bell") if answer.status == 200 else None  # type: ignore[attr-defined]
        if bell is None:
            bench.skip("doorbell", "this daemon has none")
            return
        for number in range(bench.scale.processes):
            # A session takes 60 messages a minute from each sender.
            send = send_request(f"sender-{number % _SENDERS}", "bell", BODY)
            before = os.stat(bell).st_mtime_ns
            begin = time.perf_counter()
            connection.send(send)
            while os.stat(bell).st_mtime_ns == before:
                require(time.perf_counter() - begin < 20, "The doorbell does not ring.")
                time.sleep(_PAUSE_SECONDS)
            samples.append((time.perf_counter() - begin) * 1000)
            check(connection.receive())
            connection.expect(look)
    bench.add("wake.doorbell", "wake: until a session's doorbell file has changed", samples)


def wait_for_watch(connection: Connection, mailbox: str) -> None:
    """Return once somebody waits for mail to *mailbox*, and not only to have a first look."""
    begin = time.perf_counter()
    sightings = 0
    while True:
        rows = connection.expect(_LIST).json()
        is_watched = any(row["name"] == mailbox and row["watching"] for row in rows)  # type: ignore[attr-defined]
        sightings = sightings + 1 if is_watched else 0
        if sightings == 2:
            return
        require(time.perf_counter() - begin < 20, f"Nobody came to watch '{mailbox}'.")
        time.sleep(_PAUSE_SECONDS)


def _check_receipt(sender: Connection) -> None:
    receipt = sender.receive()
    check(receipt)
    with contextlib.suppress(TypeError):
        require(
            receipt.json()["recipient"]["watching"],  # type: ignore[index]
            "A message that was to wake somebody found nobody waiting.",
        )
