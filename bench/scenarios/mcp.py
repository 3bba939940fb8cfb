"""MCP: ``tools/call`` over streamable HTTP, on a kept connection."""

import time

from bench.context import BODY, Bench, require
from bench.http1 import Connection
from bench.mcp import call_tool


def run(bench: Bench) -> None:
    """Measure sending, and taking the message out again."""
    send = call_tool("send", {"to": "bob", "body": BODY, "from": "alice"})
    check = call_tool("check_inbox", {"name": "bob"})
    sends, checks = [], []
    with bench.daemon() as daemon, daemon.connect() as connection:
        for request in (send, check):
            _timed(connection, request)
        for _ in range(bench.scale.requests):
            sends.append(_timed(connection, send))
            checks.append(_timed(connection, check))
    bench.add("mcp.send", "MCP tools/call send", sends)
    bench.add("mcp.check", "MCP tools/call check_inbox, one message waiting", checks)


def _timed(connection: Connection, request: bytes) -> float:
    begin = time.perf_counter()
    answer = connection.expect(request)
    elapsed = (time.perf_counter() - begin) * 1000
    require(b'"isError":false' in answer.body, f"A tool failed: {answer.body[:300]!r}")
    return elapsed
