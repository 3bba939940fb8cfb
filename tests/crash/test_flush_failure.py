"""A flush fails: nobody knows what is stored, so the daemon says that and ends."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.daemon import PATIENCE_SECONDS, DaemonProcess
from support.faulty_disk import FaultyDisk


@pytest.fixture
def disk(scratch: Path) -> FaultyDisk:
    """A disk that works, so far."""
    return FaultyDisk(scratch)


@pytest.fixture
def process(disk: FaultyDisk) -> Iterator[DaemonProcess]:
    """A daemon on that disk."""
    with DaemonProcess(environment=disk.environment) as process:
        yield process


def post(
    process: DaemonProcess, path: str, mailbox: str = "a", content: object = None
) -> httpx.Response:
    """Make a request."""
    return httpx.post(
        f"{process.url}{path}",
        headers={"X-Mailbox": mailbox},
        json=content,
        timeout=PATIENCE_SECONDS,
    )


def send(process: DaemonProcess, body: str) -> httpx.Response:
    """Send a message to 'b', with the beginning of its text as its key."""
    content = {"to": "b", "body": body, "idempotencyKey": body[:20]}
    return post(process, "/v1/send", content=content)


def bodies(process: DaemonProcess) -> list[str]:
    """Take all mail of 'b'."""
    return [message["body"] for message in post(process, "/v1/check-inbox?name=b", "b").json()]


def all_bodies(process: DaemonProcess) -> list[str]:
    """Take all mail of 'b', however much it is."""
    found = []
    while more := bodies(process):
        found += more
    return found


def large(number: int) -> str:
    """Return a text of which a few fill the journal, so that it is written back."""
    return f"{number} " + "x" * 150_000


def last_words(process: DaemonProcess) -> str:
    """Return the sentence with which the daemon has ended."""
    assert process.wait() == 1
    assert "Traceback" not in process.log()
    return process.log().strip().splitlines()[-1]


def test_a_send_whose_flush_fails_may_be_stored_and_the_answer_says_so(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    """It was: the system has it in memory. A retry with its key gets the right answer."""
    assert send(process, "before").status_code == 200
    disk.fail("sync", "-wal", times=1)
    answer = send(process, "doubtful")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "outcome-unknown"
    assert "nobody knows whether this was stored" in answer.json()["error"]
    assert "Nothing was stored" not in answer.json()["error"]
    assert answer.headers["Retry-After"]
    last_words(process)
    disk.heal()
    process.start()
    retry = send(process, "doubtful")
    assert retry.status_code == 200
    assert bodies(process) == ["before", "doubtful"]
    assert send(process, "doubtful").json()["id"] == retry.json()["id"]
    assert bodies(process) == []


def test_an_ack_whose_flush_fails_may_be_stored_and_the_answer_says_so(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    assert send(process, "hello").status_code == 200
    (message,) = post(process, "/v1/check-inbox?name=b&lease=300", "b").json()
    disk.fail("sync", "-wal", times=1)
    ack = {"leases": [message["lease"]]}
    assert post(process, "/v1/ack", "b", ack).json()["reason"] == "outcome-unknown"
    last_words(process)
    disk.heal()
    process.start()
    assert post(process, "/v1/ack", "b", ack).json()["done"] == [message["lease"]]


def test_after_a_failed_flush_the_daemon_ends_with_a_sentence(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    """What it could not flush may be on no disk, although the system shows it."""
    disk.fail("sync", "-wal", times=1)
    assert send(process, "doubtful").status_code == 503
    sentence = last_words(process)
    assert str(process.database) in sentence
    assert "check the disk" in sentence


def test_a_flush_that_fails_while_the_journal_is_written_back_ends_it_too(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    """All that was answered before is there at the next start."""
    disk.fail("sync", ".db")
    sent = []
    with contextlib.suppress(httpx.TransportError):
        while send(process, large(len(sent))).status_code == 200:
            sent.append(large(len(sent)))
            assert len(sent) < 200, "nothing was written back"
    last_words(process)
    disk.heal()
    process.start()
    assert all_bodies(process)[: len(sent)] == sent


def test_a_disk_that_stays_bad_is_told_at_the_next_start(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    """The journal is flushed anew before anything else. When that succeeds all mail is there."""
    assert send(process, "before").status_code == 200
    disk.fail("sync", "-wal")
    assert send(process, "doubtful").status_code == 503
    last_words(process)
    for _ in range(2):
        assert process.spawn().wait(PATIENCE_SECONDS) == 1
        assert "disk" in last_words(process)
    disk.heal()
    process.start()
    assert bodies(process)[0] == "before"


def test_a_flush_that_fails_at_the_end_leaves_the_journal_to_the_next_start(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    assert send(process, "before").status_code == 200
    journal = Path(f"{process.database}-wal")
    disk.fail("sync", "-wal", times=1)
    process.stop()
    assert journal.stat().st_size
    assert "Traceback" not in process.log()
    disk.heal()
    process.start()
    assert bodies(process) == ["before"]


def test_a_journal_that_is_written_back_in_part_loses_nothing(
    process: DaemonProcess, disk: FaultyDisk
) -> None:
    """A short write leaves the database with an odd size; its journal has all of it."""
    sent = []
    disk.fail("short", ".db", errno.ENOSPC, after=20)
    while process.database.stat().st_size % 4096 == 0:
        assert send(process, large(len(sent))).status_code == 200
        sent.append(large(len(sent)))
        assert len(sent) < 200, "nothing was written back"
    process.kill()
    disk.heal()
    process.start()
    assert all_bodies(process) == sent
    assert process.stop() == 0
    assert process.database.stat().st_size % 4096 == 0
