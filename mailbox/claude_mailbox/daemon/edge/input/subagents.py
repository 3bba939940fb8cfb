"""Which tool calls are made by subagents.

A subagent shares the connection and the identity of its session. Its calls are known by a hook that
runs just before such a call, and reports the call's id.
"""

# Ids to remember: plenty, as the call follows at once.
_LIMIT = 1000


class SubagentCalls:
    """The ids of recent tool calls by subagents."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<SubagentCalls: {len(self._ids)}>"

    def note(self, tool_use_id: str) -> None:
        """Remember that a subagent makes the call with this id."""
        self._ids[tool_use_id] = None
        if len(self._ids) > _LIMIT:
            del self._ids[next(iter(self._ids))]

    def __contains__(self, tool_use_id: object) -> bool:
        return tool_use_id in self._ids
