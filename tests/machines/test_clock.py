"""A wall clock that is set while the daemon runs."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from support.daemon import PATIENCE_SECONDS, DaemonProcess

# A daemon whose wall clock is off by as many seconds as a file says.
SHIFTED = """
import sys, time
place, real = sys.argv.pop(1), time.time_ns
time.time_ns = lambda: real() + int(open(place).read()) * 1_000_000_000
time.time = lambda: time.time_ns() / 1e9
from claude_mailbox.__main__ import main
main()
"""


@pytest.fixture
def shift(tmp_path: Path) -> Path:
    """The file with the seconds by which the wall clock is off."""
    path = tmp_path / "shift"
    path.write_text("0")
    return path


@pytest.fixture
def shifted(shift: Path) -> Iterator[DaemonProcess]:
    """A running daemon with that clock."""
    with DaemonProcess(command=[sys.executable, "-c", SHIFTED, str(shift)]) as process:
        yield process


def ask(process: DaemonProcess, method: str, target: str, **options: object) -> httpx.Response:
    """Make a request as the mailbox b."""
    return httpx.request(
        method,
        f"{process.url}{target}",
        headers={"X-Mailbox": "b"},
        timeout=PATIENCE_SECONDS,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("seconds", [-600, 600])
def test_a_lease_lasts_as_long_as_it_should(
    shifted: DaemonProcess, shift: Path, seconds: int
) -> None:
    """Whichever way the clock is set; the message comes before the next one."""
    for body in ("first", "second"):
        ask(shifted, "POST", "/v1/send", json={"to": "b", "body": body})
    taken = ask(shifted, "POST", "/v1/check-inbox?name=b&limit=1&lease=2").json()
    assert [message["body"] for message in taken] == ["first"]
    shift.write_text(str(seconds))
    early = ask(shifted, "GET", "/v1/watch?name=b&timeout=0&lease=60").json()
    assert early["body"] == "second"
    again = ask(shifted, "GET", "/v1/watch?name=b&timeout=20")
    assert (again.status_code, again.json()["body"]) == (200, "first")


def test_nothing_is_seen_in_the_future(shifted: DaemonProcess, shift: Path) -> None:
    """The clock is set forward by a day, and back again."""
    shift.write_text("86400")
    ask(shifted, "POST", "/v1/send", json={"to": "b", "body": "x"})
    shift.write_text("0")
    (row,) = ask(shifted, "GET", "/v1/list").json()
    seen = datetime.fromisoformat(row["lastSeenAt"])
    assert seen < datetime.now(UTC) + timedelta(minutes=1)


def test_a_clock_that_was_set_back_while_the_daemon_did_not_run(
    shifted: DaemonProcess, shift: Path
) -> None:
    """Leases of the run before end in time all the same, and nobody was seen in the future."""
    shifted.stop()
    shift.write_text("86400")
    shifted.start()
    for body in ("first", "second"):
        ask(shifted, "POST", "/v1/send", json={"to": "b", "body": body})
    ask(shifted, "POST", "/v1/check-inbox?name=b&limit=1&lease=2")
    ask(shifted, "POST", "/v1/send", json={"to": "d", "body": "expires", "ttl": 2})
    ask(shifted, "POST", "/v1/send", json={"to": "c", "body": "delayed", "delay": 2})
    shifted.stop()
    shift.write_text("0")
    shifted.start()
    # Neither who asks now nor who is only listed.
    rows = httpx.get(f"{shifted.url}/v1/list", timeout=PATIENCE_SECONDS).json()
    seen = datetime.fromisoformat(next(row["lastSeenAt"] for row in rows if row["name"] == "b"))
    assert seen < datetime.now(UTC) + timedelta(minutes=1)
    assert ask(shifted, "GET", "/v1/watch?name=b&timeout=0&lease=60").json()["body"] == "second"
    again = ask(shifted, "GET", "/v1/watch?name=b&timeout=20")
    assert (again.status_code, again.json()["body"]) == (200, "first")
    for name, wanted in (("c", 200), ("d", 204)):
        target = f"{shifted.url}/v1/watch?name={name}&timeout={20 if wanted == 200 else 0}"
        reply = httpx.get(target, headers={"X-Mailbox": name}, timeout=PATIENCE_SECONDS)
        assert reply.status_code == wanted
