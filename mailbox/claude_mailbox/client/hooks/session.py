"""What hooks run during a session's life. The exit code is always 0.

``announce`` registers the session and introduces its mailbox to the model, ``rearm`` makes Claude
Code keep watching the session's doorbell, ``event`` tells the daemon what the session does and which
of its mail has arrived, ``end`` that the session is over, and
``client_headers`` lets the daemon know which session a tool call comes from.
"""

import os

from claude_mailbox import paths
from claude_mailbox.client import codec
from claude_mailbox.client.hooks.context.introduction import introduction
from claude_mailbox.client.hooks.hook_io import (
    is_attended,
    is_of_another_client,
    read_input,
    text_field,
)
from claude_mailbox.client.hooks.launch_record import write_launch_record
from claude_mailbox.client.hooks.session_events import report_event
from claude_mailbox.client.identity.client_process import client_key
from claude_mailbox.client.identity.naming import mailbox_name, project_name
from claude_mailbox.client.reach.address import explicit_address, is_own_daemon
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.connection import ConnectionLost
from claude_mailbox.client.terminal import output
from claude_mailbox.client.transcript.proof import (
    PROMPT,
    RESUME,
    SESSION_END,
    TURN_END,
    report_arrivals,
)
from claude_mailbox.errors import ConfigError, DaemonUnreachable, MailboxError, OutputLost

ANSWER_SECONDS = 5.0
PEER_MINUTES = 60
MAX_PEERS = 10
# What a session does from an event on.
_STATES = {
    "Stop": "idle",
    "StopFailure": "idle",
    "PermissionRequest": "waiting",
    "PostToolBatch": "working",
}
# Claude Code gives all hooks of a session's end 1.5 seconds together.
END_SECONDS = 1.0
# Claude Code gives up on an MCP server about 7 seconds after the session's start.
START_SECONDS = 6.0


def announce(
    *,
    peer_window_minutes: int = PEER_MINUTES,
    max_peers: int = MAX_PEERS,
    url: str | None = None,
) -> int:
    """Register the session in the hook's JSON and introduce its mailbox; start the daemon.

    Args:
        peer_window_minutes: peers that were active in so many minutes are named.
        max_peers: how many peers are named at most.
        url: address of the daemon.
    """
    wanted: dict[str, object] = {"peerWindowMinutes": peer_window_minutes, "maxPeers": max_peers}
    hook = read_input()
    if is_of_another_client(hook):
        return 0
    event = text_field(hook, "hook_event_name") or "SessionStart"
    try:
        source = text_field(hook, "source") or "startup"
        daemon = Daemon(url, seconds=ANSWER_SECONDS)
        if source == "resume":
            # First, so that the session is not rung for what its conversation already has.
            _settle_resumed(daemon, hook)
        key = client_key()
        registration = register(hook, url, wanted, has_bell=is_attended(), may_start=True)
        bell = registration.get("bell")
        if isinstance(bell, str) and not os.path.exists(bell):
            # The daemon's file is not on this machine (a container, a forwarded port).
            if key is not None:
                key = f"{key}@{_host()}"  # its number means nothing to the daemon
            wanted["client"] = key
            registration = register(hook, url, wanted, has_bell=False, may_start=False)
        if is_attended() and _needs_companion(registration.get("bell"), hook):
            from claude_mailbox.client.hooks.companion import start_companion

            registration["bell"] = start_companion(text_field(hook, "session_id"), url, key)
        if source != "compact":
            report_start(daemon, hook)
        specific: dict[str, object] = {
            "hookEventName": event,
            "additionalContext": introduction(registration, peer_window_minutes),
        }
        if isinstance(registration.get("bell"), str):
            specific["watchPaths"] = [registration["bell"]]
        write_launch_record()
        _print({"hookSpecificOutput": specific})
    except MailboxError as error:
        _print_hint(str(error), event)
    except Exception as error:  # a bug of ours must not fail a session
        _print_hint(f"{type(error).__name__}: {error}", event)
    return 0


def _needs_companion(bell: object, hook: dict[str, object]) -> bool:
    """Return whether a process here has to ring the session, because the daemon cannot."""
    session = text_field(hook, "session_id")
    return bool(session) and (
        not isinstance(bell, str) or os.path.exists(paths.companion_path(session))
    )


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def introduce(hook: dict[str, object], url: str | None) -> str:
    """Register a session at a prompt, if it is older than the plugin; return its introduction.

    The hook of a prompt cannot make Claude Code watch a file. So the session has a doorbell only
    if one is there already, from an earlier registration.

    Raises:
        MailboxError: if the session cannot be registered now.
    """
    bell = paths.bell_path(text_field(hook, "session_id"))
    has_bell = is_attended() and os.path.exists(bell)
    registration = register(hook, url, {}, has_bell=has_bell, may_start=False)
    return introduction(registration, PEER_MINUTES)


def rearm() -> int:
    """Make Claude Code keep watching the doorbell: other plugins can replace the list."""
    hook = read_input()
    event = text_field(hook, "hook_event_name")
    session = text_field(hook, "session_id")
    if event and session and is_attended() and not is_of_another_client(hook):
        try:
            bell = paths.bell_path(session)
        except ConfigError:
            return 0  # the start of the session has said it
        if os.path.exists(bell):
            _print({"hookSpecificOutput": {"hookEventName": event, "watchPaths": [bell]}})
    return 0


def end(*, url: str | None = None) -> int:
    """Tell the daemon, if it runs, that the session in the hook's JSON is over."""
    hook = read_input()
    session = text_field(hook, "session_id")
    if not session or is_of_another_client(hook):
        return 0
    reason = text_field(hook, "reason") or "other"
    body: dict[str, object] = {"sessionId": session, "reason": reason}
    try:
        body["client"] = client_key()
        if os.path.exists(paths.companion_path(session)):
            from claude_mailbox.client.hooks.companion import registered_key

            body["client"] = registered_key(session)
            os.unlink(paths.bell_path(session))  # which ends the companion
        daemon = Daemon(url, seconds=END_SECONDS)
        unproved = report_event(daemon, session, hook)
        report_arrivals(daemon, session, unproved, SESSION_END)
        daemon.call("POST", "/v1/session/end", body=body)
    except Exception:  # noqa: S110  # the session is over: nobody would read an error
        pass
    return 0


def event(*, if_waiting: bool = False, url: str | None = None) -> int:
    """Tell the daemon what the session does, and which of its mail has arrived, for async hooks.

    With *if_waiting* only when the session was waiting for its user.
    """
    hook = read_input()
    session, name = text_field(hook, "session_id"), text_field(hook, "hook_event_name")
    state = _STATES.get(name)
    if not session or state is None or is_of_another_client(hook):
        return 0
    try:
        if os.path.exists(paths.companion_path(session)):
            from claude_mailbox.client.hooks.companion import registered_key, start_companion

            start_companion(session, url, registered_key(session))  # unless it still runs
        if if_waiting and not os.path.exists(_waiting_path(session)):
            return 0
        _mark_waiting(session, is_waiting=state == "waiting")
        daemon = Daemon(url, seconds=ANSWER_SECONDS)
        unproved = report_event(daemon, session, hook, state=state)
        moment = TURN_END if name == "Stop" else PROMPT
        last_answer = text_field(hook, "last_assistant_message")
        report_arrivals(daemon, session, unproved, moment, last_answer)
    except Exception:  # noqa: S110  # nobody reads what an asynchronous hook prints
        pass
    return 0


def _mark_waiting(session: str, *, is_waiting: bool) -> None:
    """Leave a file while the session waits for its user: without it, a tool's end is not reported."""
    path = _waiting_path(session)
    try:
        if is_waiting:
            with open(path, "wb"):
                pass
        else:
            os.unlink(path)
    except OSError:
        pass


def _waiting_path(session: str) -> str:
    # The plugin's launcher looks for it, too.
    return f"{paths.bell_path(session)}.waiting"


def _settle_resumed(daemon: Daemon, hook: dict[str, object]) -> None:
    session = text_field(hook, "session_id")
    try:
        unproved = report_event(daemon, session, hook)
        report_arrivals(daemon, session, unproved, RESUME)
    except DaemonUnreachable:
        pass  # the daemon is started next; what lacks proof is shown again


def report_start(daemon: Daemon, hook: dict[str, object]) -> None:
    """Tell the daemon where the session works, and that it waits for a prompt."""
    cwd = text_field(hook, "cwd")
    where = {"cwd": cwd} if cwd and cwd.isprintable() else {}
    if where and (project := project_name(cwd)):
        where["project"] = project
    try:  # noqa: SIM105  # contextlib costs 4 ms
        report_event(daemon, text_field(hook, "session_id"), hook, state="idle", **where)
    except MailboxError:
        pass  # it has its mailbox, which is what matters


def client_headers() -> int:
    """Print the headers from which the daemon knows the session behind a tool call."""
    key = client_key()
    headers = {} if key is None else {"X-Mailbox-Client": key}
    try:
        address = explicit_address(None)
        if address is not None and address.path is None:
            from claude_mailbox.client.reach.token import token_for

            token = token_for(address)
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
    except ConfigError:
        pass  # the start of the session has said it
    _print(headers)
    return 0


def register(
    hook: dict[str, object],
    url: str | None,
    wanted: dict[str, object],
    *,
    has_bell: bool,
    may_start: bool,
) -> dict[str, object]:
    """Register the session with the daemon; return what the daemon says of it.

    *wanted* are further fields of the request: which peers to name. *key* is the client process's.
    """
    session = text_field(hook, "session_id") or os.environ.get("CLAUDE_CODE_SESSION_ID", "")
    if not session:
        raise MailboxError("The hook's JSON on standard input has no session_id.")
    body: dict[str, object] = {
        "sessionId": session,
        "name": mailbox_name(session, text_field(hook, "cwd") or None),
        "source": text_field(hook, "source") or "startup",
        "client": client_key(),
        "bell": has_bell,
        **wanted,
    }
    daemon = Daemon(url, seconds=ANSWER_SECONDS)
    try:
        result = daemon.call("POST", "/v1/session", body=body, is_repeatable=True)
    except ConnectionLost:
        raise  # the daemon runs, so starting one would not help
    except DaemonUnreachable:
        if not (may_start and is_own_daemon(url)):
            raise
        from claude_mailbox.client.reach.startup import ensure_running

        ensure_running(url, START_SECONDS)
        result = daemon.call("POST", "/v1/session", body=body, is_repeatable=True)
    if not isinstance(result.value, dict) or not isinstance(result.value.get("name"), str):
        raise daemon.wrong_server()
    return result.value


def _print(value: object) -> None:
    try:  # noqa: SIM105  # contextlib costs 4 ms
        output.write(codec.encode(value) + "\n")
    except OutputLost:
        pass


def _print_hint(reason: str, event: str) -> None:
    """Tell the user and the model in one line that this session has no mail, and why."""
    text = f"[Claude-Mailbox] No mail in this session. {reason}"
    if "CLAUDE_PLUGIN_ROOT" in os.environ:
        text += " To repair it: /claude-mailbox:mailbox-doctor"
    specific = {"hookEventName": event, "additionalContext": text}
    _print({"systemMessage": text, "hookSpecificOutput": specific})
