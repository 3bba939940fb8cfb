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
    pid = int(os.environ["CLAUDE_PID"])
    if _is_alive(pid):
        _thread.start_new_thread(_watch, (pid,))
    else:
        os.kill(os.getpid(), _signal.SIGTERM)


def _watch(pid: int) -> None:
    while _is_alive(pid):
        time.sleep(_INTERVAL_SECONDS)
    os.kill(os.getpid(), _signal.SIGTERM)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
