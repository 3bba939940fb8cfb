"""Times for people."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from claude_mailbox.client.times import parse_since, shown
from claude_mailbox.errors import BadRequest

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)


pytestmark = pytest.mark.skipif(not hasattr(time, "tzset"), reason="cannot change the zone")


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be an hour ahead of UTC."""
    monkeypatch.setenv("TZ", "XYZ-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-27T12:00:00.000Z", "13:00:00 (just now)"),
        ("2026-11-27T12:00:09.000Z", "13:00:09 (just now)"),
        ("2026-11-27T11:59:01.500Z", "12:59:01 (58 s ago)"),
        ("2026-11-27T11:57:00.000Z", "12:57:00 (3 min ago)"),
        ("2026-11-27T00:00:00.000Z", "01:00:00 (12 h ago)"),
        ("2026-11-26T23:00:00.000Z", "00:00:00 (13 h ago)"),
        ("2026-11-26T22:59:59.000Z", "2026-11-26 23:59 (13 h ago)"),
        ("2026-11-26T12:00:00.000Z", "2026-11-26 13:00 (1 day ago)"),
        ("2025-11-27T12:00:00.000Z", "2025-11-27 13:00 (365 days ago)"),
        ("whatever", "whatever"),
        (None, "None"),
    ],
)
def test_times_are_local_and_say_how_long_ago(moment: object, text: str) -> None:
    assert shown(moment, NOW) == text


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        (" 2h ", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("2026-11-27T12:00", timedelta(hours=1)),
        ("2026-11-27", timedelta(hours=13)),
        ("2026-11-27T12:00:00Z", timedelta(0)),
    ],
)
def test_an_age_or_a_local_time_is_understood(text: str, age: timedelta) -> None:
    assert datetime.fromisoformat(parse_since(text, NOW)) == NOW - age


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 years", "999999w", "2026-13-01", "²h"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="'--since' must be an age"):
        parse_since(text, NOW)
