"""The hook handlers of Claude Code that run our commands, by event.

The plugin's ``hooks.json`` has the same handlers as ``install-hook`` writes into a settings file.
"""

Handler = dict[str, object]

_WAKE: Handler = {
    "asyncRewake": True,
    "rewakeSummary": "Mail from another session",
    "rewakeMessage": "Mail has come for this session.",
    "timeout": 30,
}
# The context that a hook of SubagentStop or TaskCompleted returns reaches the subagent or nobody.
# A handler that wakes reaches the main session.
_CHECKING: list[tuple[str, str, Handler]] = [
    ("UserPromptSubmit", "check --hook", {"timeout": 10}),
    ("SubagentStop", "check --hook --wake", _WAKE),
    ("TaskCompleted", "check --hook --wake", _WAKE),
]
_SESSION: list[tuple[str, str, Handler]] = [
    ("SessionStart", "session-announce", {"timeout": 20}),
    ("FileChanged", "check --hook --wake", _WAKE),
    # The hook of another plugin may have replaced the list of watched files; the lists that the
    # hooks of one event return are merged.
    ("FileChanged", "session-rearm", {"timeout": 10}),
    ("CwdChanged", "session-rearm", {"timeout": 10}),
    ("Stop", "session-event", {"async": True, "timeout": 15}),
    ("StopFailure", "session-event", {"async": True, "timeout": 15}),
    ("PermissionRequest", "session-event", {"async": True, "timeout": 10}),
    ("PostToolBatch", "session-event --if-waiting", {"async": True, "timeout": 10}),
    ("SessionEnd", "session-end", {"timeout": 2}),
]


def handlers_by_event(
    program: str, suffix: str = "", name: str | None = None
) -> dict[str, list[Handler]]:
    """Return the handlers of each event.

    Args:
        program: the command that runs us, quoted for a shell.
        suffix: text at the end of each command.
        name: the mailbox to check, quoted; if None, each session gets its own mailbox.
    """
    found: dict[str, list[Handler]] = {}
    for event, verb, fields in _CHECKING if name is not None else [*_SESSION, *_CHECKING]:
        option = "" if name is None else f" --name {name}"
        command = f"{program} {verb}{option}{suffix}"
        found.setdefault(event, []).append({"type": "command", "command": command, **fields})
    return found
