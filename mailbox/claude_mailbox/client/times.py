"""Times for people: local, and how long ago. And the other way round, from what people write."""

import re
from datetime import UTC, datetime, timedelta

from claude_mailbox.errors import BadRequest

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})\s*([smhdw])")


def shown(time: object, now: datetime | None = None) -> str:
    """Return a time in ISO 8601 as ``14:02:05 (3 min ago)``, with the date unless it is today."""
    try:
        moment = datetime.fromisoformat(str(time)).astimezone()
    except (ValueError, OverflowError):
        return str(time)
    now = (now or datetime.now(UTC)).astimezone()
    clock = f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M}"
    return f"{clock} ({_age(now - moment)})"


def ago(time: object, now: datetime | None = None) -> str:
    """Return how long ago a time in ISO 8601 was, such as ``3 min ago``."""
    try:
        moment = datetime.fromisoformat(str(time))
        return _age((now or datetime.now(UTC)) - moment)
    except (ValueError, OverflowError, TypeError):
        return str(time)


def clock(time: object) -> str:
    """Return a time in ISO 8601 as the local ``14:02:05``."""
    try:
        return f"{datetime.fromisoformat(str(time)).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError):
        return str(time)


def _age(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    if seconds < 1:
        return "just now"
    for length, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return f"{seconds} s ago"


def parse_since(text: str, now: datetime | None = None) -> str:
    """Return the time that *text* means in ISO 8601: an age such as ``2h``, or a local time.

    Raises:
        BadRequest: if it is neither.
    """
    try:
        age = _AGE.fullmatch(text.strip())
        if age:
            moment = (now or datetime.now(UTC)) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        else:
            moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise BadRequest(
            f"'--since' must be an age such as 30m, 2h or 3d, or a time such as 2026-11-27T14:00,"
            f" not '{text[:40]}'."
        ) from None
