"""Finds the mailbox that a command acts for, if no option names it."""

import os

from claude_mailbox.client.reach.api import Daemon, Identity, Refused
from claude_mailbox.errors import BadRequest

NAME_VARIABLE = "CLAUDE_MAILBOX_NAME"
# What clients set in the shells of their sessions; our plugin for OpenCode sets the last one.
SESSION_VARIABLES = ("CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID", "CLAUDE_MAILBOX_SESSION")


def own_identity(daemon: Daemon, name: "str | None", option: str) -> Identity:
    """Return who a command acts for: *name*, ``CLAUDE_MAILBOX_NAME``, or the session of its shell.

    Where no variable tells the session, a process that runs the shell may be known for it.

    Raises:
        BadRequest: if nothing says it, or more than one client does; *option* would.
    """
    name = name or os.environ.get(NAME_VARIABLE)
    if name:
        return Identity(name)
    found = [os.environ[key] for key in SESSION_VARIABLES if os.environ.get(key)]
    if not found:
        found = _sessions_of_ancestors(daemon)
    if not found:
        raise BadRequest(f"Say which mailbox is yours: give {option}, or set {NAME_VARIABLE}.")
    if len(found) > 1:
        raise BadRequest(f"Two clients run this shell, one in the other: give {option}.")
    return Identity(None, found[0])


def _sessions_of_ancestors(daemon: Daemon) -> "list[str]":
    # Imported here because most commands get a name.
    from claude_mailbox.client.identity.client_process import ancestor_keys

    with daemon:
        for key in ancestor_keys():
            try:
                value = daemon.call("GET", "/v1/session", query=(f"client={key}",)).value
            except Refused as refusal:
                if refusal.code != "unknown-session":
                    raise
                continue
            if isinstance(value, dict) and isinstance(value.get("sessionId"), str):
                return [value["sessionId"]]
    return []
