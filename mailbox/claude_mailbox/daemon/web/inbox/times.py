"""Times for people: how long ago, and local time."""

import time
from datetime import datetime

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))


def ago(milliseconds: int | None, now: int) -> str:
    """Return how long ago that was, such as ``5 min ago``."""
    if milliseconds is None:
        return "never"
    seconds = max(0, (now - milliseconds) // 1000)
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "just now"


def duration(milliseconds: int, now: int) -> str:
    """Return how long something has lasted, such as ``for 5 min``; nothing in the first minute."""
    text = ago(milliseconds, now)
    return f"for {text.removesuffix(' ago')}" if text.endswith(" ago") else ""


def on_the_clock(milliseconds: int) -> str:
    """Return a local time, such as ``2026-11-27 12:00:07``."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "unknown"


def days_ago(days: int) -> int:
    """Return the time *days* ago, in milliseconds since the epoch."""
    return int((time.time() - days * 86_400) * 1000)
