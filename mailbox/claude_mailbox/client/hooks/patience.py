"""How long a hook waits for the daemon, and how often it reports that the daemon does not answer.

A daemon that is stuck must not delay every prompt, and the user need not be told each time.
"""

import os
import time

from claude_mailbox import paths

_SECONDS = 0.5
# TLS takes three round trips to a machine that may be far away.
_REMOTE_SECONDS = 3.0
# While the daemon is known not to answer, a check must be nearly free.
_KNOWN_SECONDS = 0.1
_PAUSE_SECONDS = 60.0


def seconds_to_wait(*, is_own: bool = True) -> float:
    """Return how long to wait for the answer of our own daemon, or of one elsewhere."""
    if _was_told():
        return _KNOWN_SECONDS
    return _SECONDS if is_own else _REMOTE_SECONDS


def complaint() -> str | None:
    """Return the message for a daemon that did not answer, or None if it was shown a moment ago."""
    if _was_told():
        return None
    # Imported here because it is rarely needed.
    from claude_mailbox.client.reach.lock_file import running_daemon

    try:
        with open(paths.unanswered_path(), "wb"):
            pass
    except OSError:
        pass
    pid = (running_daemon() or {}).get("pid")
    who = "The mail daemon" if pid is None else f"The mail daemon (pid {pid})"
    return (
        f"{who} does not answer, so mail may be waiting: if that goes on, 'claude-mailbox restart'"
        " helps."
    )


def _was_told() -> bool:
    try:
        age = time.time() - os.stat(paths.unanswered_path()).st_mtime
    except OSError:
        return False
    return 0 <= age < _PAUSE_SECONDS
