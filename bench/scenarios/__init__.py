"""The scenarios, in the order in which they run."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.context import Bench
from bench.scenarios import (
    beside,
    drain,
    floor,
    growth,
    hook,
    idle,
    mcp,
    search,
    send,
    sharing,
    start,
    wake,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named part of the run."""

    name: str
    title: str
    run: Callable[[Bench], None]


SCENARIOS = (
    Scenario("floor", floor.GROUP, floor.run),
    Scenario("drain", "Draining a backlog", drain.run),
    Scenario("send", "Durable send", send.run),
    Scenario("wake", "Wake", wake.run),
    Scenario("mcp", "MCP tools", mcp.run),
    Scenario("hook", "Hooks", hook.run),
    Scenario("start", "Daemon start", start.run),
    Scenario("idle", "Idle daemon", idle.run),
    Scenario("search", "History", search.run),
    Scenario("growth", "Growth", growth.run),
    Scenario("sharing", "SQLite and PostgreSQL", sharing.run),
    Scenario("beside", "Beside it", beside.run),
)
