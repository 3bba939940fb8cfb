"""Which tool calls a subagent has made.

A subagent shares the connection and the identity of its session. What tells its calls apart is a
hook: just before the call it tells us the call's id, and that a subagent makes it.
"""

# A call follows its hook within a moment, so these are many.
_LIMIT = 1000


class SubagentCalls:
    """The ids of tool calls that subagents made lately."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<SubagentCalls: {len(self._ids)}>"

    def note(self, tool_use_id: str) -> None:
        """Remember that a subagent makes this call."""
        self._ids[tool_use_id] = None
        if len(self._ids) > _LIMIT:
            del self._ids[next(iter(self._ids))]

    def __contains__(self, tool_use_id: object) -> bool:
        return tool_use_id in self._ids
