"""The hooks of a coding agent: which event runs which of our verbs, and how.

The plugin's ``hooks.json`` and what ``install-hook`` writes into a settings file say the same.
"""

Handler = dict[str, object]

_WAKE: Handler = {
    "asyncRewake": True,
    "rewakeSummary": "Mail from another session",
    "rewakeMessage": "Mail has come for this session.",
    "timeout": 30,
}
# In SubagentStop and TaskCompleted the context that a hook returns reaches the subagent or nobody;
# what wakes reaches the main session.
_PULL: list[tuple[str, str, Handler]] = [
    ("UserPromptSubmit", "check --hook", {"timeout": 10}),
    ("SubagentStop", "check --hook --wake", _WAKE),
    ("TaskCompleted", "check --hook --wake", _WAKE),
]
_SESSION: list[tuple[str, str, Handler]] = [
    ("SessionStart", "session-announce", {"timeout": 20}),
    ("FileChanged", "check --hook --wake", _WAKE),
    # Another plugin's hook may replace the list of watched files; lists of one event are merged.
    ("FileChanged", "session-rearm", {"timeout": 10}),
    ("CwdChanged", "session-rearm", {"timeout": 10}),
    ("SessionEnd", "session-end", {"timeout": 2}),
]


def entries(program: str, suffix: str = "", name: str | None = None) -> dict[str, list[Handler]]:
    """Return the handlers of each event.

    Args:
        program: how a shell runs us, quoted where that is needed.
        suffix: what follows each command.
        name: the mailbox to look into, quoted; without it each session gets its own.
    """
    found: dict[str, list[Handler]] = {}
    for event, verb, fields in _PULL if name is not None else [*_SESSION, *_PULL]:
        which = "" if name is None else f" --name {name}"
        command = f"{program} {verb}{which}{suffix}"
        found.setdefault(event, []).append({"type": "command", "command": command, **fields})
    return found
