"""A command in the background of a Claude Code session: it ends with its client.

Claude Code leaves such a command behind when it is killed, under a shell that is its parent; so
neither the parent nor the end of a pipe tells.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports enum, 4 ms
import _thread
import os
import time

_INTERVAL_SECONDS = 1.0


def session() -> str | None:
    """Return the id of the session in whose background this process runs, or None."""
    has_client = os.environ.get("CLAUDE_PID", "").isdigit() and hasattr(_signal, "SIGTERM")
    return (os.environ.get("CLAUDE_CODE_SESSION_ID") or None) if has_client else None


def end_with_client() -> None:
    """Send this process SIGTERM as soon as its client is gone, which may be now."""
    if session() is None or os.name == "nt":
        return
    # Imported here: a watch in the foreground does without it.
    from claude_mailbox.client.identity.client_process import is_running

    pid = int(os.environ["CLAUDE_PID"])

    def watch() -> None:
        while is_running(pid):
            time.sleep(_INTERVAL_SECONDS)
        os.kill(os.getpid(), _signal.SIGTERM)

    if is_running(pid):
        _thread.start_new_thread(watch, ())
    else:
        os.kill(os.getpid(), _signal.SIGTERM)
