"""Reports to the daemon what happens in a session."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.client.reach.api import Daemon


def report_event(
    daemon: "Daemon", session: str, hook: "dict[str, object]", **fields: object
) -> "list[dict[str, object]]":
    """Report what happens in the session; return its unproved messages."""
    body = {"sessionId": session, **fields}
    path = hook.get("transcript_path")
    if isinstance(path, str) and path:
        body["transcript"] = path
    value = daemon.call("POST", "/v1/session/event", body=body, is_repeatable=True).value
    unproved = value.get("unproved") if isinstance(value, dict) else None
    return [each for each in unproved if isinstance(each, dict)] if unproved else []
