"""Times as the wire has them: ISO 8601, UTC."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import overload

from claude_mailbox.errors import BadRequest

# The years 1000 to 9999, which have four digits: in milliseconds since the epoch.
_FIRST_TIME = -30_610_224_000_000
_LAST_TIME = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str, what: str) -> int:
    """Return the time, given in ISO 8601, in milliseconds since the epoch.

    Raises:
        BadRequest: if it is no such time, or says no zone; *what* names the field.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        pass
    raise BadRequest(f"'{what}' must be a time such as 2026-11-27T12:00:00Z, not '{text[:40]}'.")


@overload
def iso_time(milliseconds: int) -> str: ...
@overload
def iso_time(milliseconds: int | None) -> str | None: ...
def iso_time(milliseconds: int | None) -> str | None:
    """Return ISO 8601 UTC with milliseconds and ``Z``, or None for None."""
    if milliseconds is None:
        return None
    # A clock that is set wrong must not fail a request.
    seconds, rest = divmod(min(max(milliseconds, _FIRST_TIME), _LAST_TIME), 1000)
    return f"{_iso_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _iso_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
