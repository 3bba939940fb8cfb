"""Prints mail for a model whose client may lose it, and tells the daemon to wait for proof."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.client.reach.api import Daemon


def mark(lease: str) -> str:
    """Return the mark that a hook prints after a message, which cannot be guessed."""
    return f"[mail {lease}]"


def report_shown(
    daemon: "Daemon", session: str, path: str, leases: "list[str]", kind: str
) -> "list[str]":
    """Tell the daemon that these messages are about to be in the conversation; return lost leases."""
    try:
        status = os.stat(path)
        inode, size = status.st_ino, status.st_size
    except OSError:
        inode = size = 0  # there is no file before the first prompt
    body = {
        "sessionId": session,
        "leases": leases,
        "kind": kind,
        "transcript": path or None,  # without it, the one that the session's hooks told of
        "inode": inode,
        "size": size,
    }
    value = daemon.call("POST", "/v1/session/shown", body=body).value
    lost = value.get("lost") if isinstance(value, dict) else None
    return [str(each) for each in lost] if isinstance(lost, list) else []
