"""Durable send: when the answer comes, the message survives a power cut."""

import contextlib
import time

from bench import load, processes
from bench.context import BODY, Bench
from bench.daemon import Daemon
from bench.http1 import Address, connect, send_request
from bench.stats import RATE

CLIENTS = (1, 16, 64)


def run(bench: Bench) -> None:
    """Measure one client, then many at once."""
    with bench.daemon(maxPendingPerMailbox=10**9) as daemon:
        _alone(bench, daemon, "send.one", "durable send, one client", daemon.address)
        _alone(
            bench,
            daemon,
            "send.one.unix",
            "durable send, one client, Unix socket",
            daemon.socket_path,
        )
        _together(bench, daemon)
        _by_process(bench, daemon)


def _alone(bench: Bench, daemon: Daemon, name: str, title: str, address: Address) -> None:
    request = send_request("alice", "bob", BODY)
    with daemon.connect() if address == daemon.address else daemon.connect_local() as connection:
        connection.expect(request)
        samples = []
        for _ in range(bench.scale.requests):
            begin = time.perf_counter()
            connection.expect(request)
            samples.append((time.perf_counter() - begin) * 1000)
    bench.add(name, title, samples)


def _together(bench: Bench, daemon: Daemon) -> None:
    """Measure in turns, because they are compared and the machine's pace changes."""
    requests = [send_request(f"sender-{n}", f"peer-{n}", BODY) for n in range(max(CLIENTS))]
    with contextlib.ExitStack() as stack:
        crowds = [
            [stack.enter_context(connect(daemon.address)) for _ in range(clients)]
            for clients in CLIENTS
        ]
        for crowd in crowds:
            load.closed_loop(crowd, requests.__getitem__, len(crowd) * 2)
        for _ in range(bench.scale.rounds):
            for crowd in crowds:
                total = max(bench.scale.requests * 2, len(crowd))
                result = load.closed_loop(crowd, requests.__getitem__, total)
                name = f"send.{len(crowd)}"
                clients = f"{len(crowd)} clients" if len(crowd) > 1 else "one client"
                bench.add(name, f"durable sends a second, {clients}", [result.rate], RATE)
                if len(crowd) > 1:
                    title = f"durable send, one of {clients}"
                    bench.add(f"{name}.wait", title, result.latencies)


def _by_process(bench: Bench, daemon: Daemon) -> None:
    arguments = ("--from", "alice", "--to", "bob", "--body", BODY)
    argv = daemon.home.command("send", *arguments)
    environment = daemon.home.environment()
    processes.whole(argv, environment)
    for _ in range(bench.scale.processes):
        elapsed = processes.whole(argv, environment)
        bench.add("send.process", "'claude-mailbox send', whole process", [elapsed])
