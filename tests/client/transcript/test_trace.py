"""What a transcript proves: each rule of docs/transcript.md on lines as the client writes them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_mailbox.client.showing import mark
from claude_mailbox.client.transcript.trace import (
    ABSENT,
    ANSWERED,
    QUEUED,
    SHOWN,
    Trace,
    read,
)
from client.hooks.client_model import Transcript

LEASE = "7-5d0a1c3f9b2e"
TEXT = f"From a, id 7:\n  hello\n{mark(LEASE)}"
LONG_AGO = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def transcript(tmp_path: Path) -> Transcript:
    """An empty transcript."""
    return Transcript(tmp_path / "session.jsonl")


def trace(transcript: Transcript, *, is_command: bool = False, since: int = 0) -> Trace:
    """Return what the transcript says of the message."""
    found = Trace(LEASE, is_command=is_command, shown_at=LONG_AGO)
    path = transcript.path
    inode = path.stat().st_ino if path.exists() else 0
    read(str(path), since, inode, [found])
    return found


@pytest.mark.parametrize("show", ["context", "wake"])
def test_an_answer_below_the_line_that_shows_it_is_proof(transcript: Transcript, show: str) -> None:
    """Until then it is only shown."""
    assert trace(transcript).standing == ABSENT
    transcript.prompt("Hello")
    getattr(transcript, show)(TEXT)
    assert trace(transcript).standing == SHOWN
    transcript.answer()
    assert trace(transcript).standing == ANSWERED


def test_an_answer_may_come_many_lines_later(transcript: Transcript) -> None:
    """With tools, results and notes in between."""
    transcript.context(TEXT)
    for _ in range(5):
        transcript.write("user", message={"content": [{"type": "tool_result", "content": "ok"}]})
        transcript.note(type="file-history-snapshot")
    transcript.answer()
    assert trace(transcript).standing == ANSWERED


def test_the_clients_own_words_are_no_answer(transcript: Transcript) -> None:
    """After an API error the model has not seen it."""
    transcript.context(TEXT)
    transcript.answer("API Error", model="<synthetic>")
    assert trace(transcript).standing == SHOWN


def test_queued_text_proves_nothing(transcript: Transcript) -> None:
    """What left it without a line is nowhere."""
    transcript.enqueue(TEXT)
    transcript.answer()
    assert trace(transcript).standing == QUEUED
    transcript.dequeue(TEXT)
    assert trace(transcript).standing == ABSENT


@pytest.mark.parametrize(
    "forge",
    [
        lambda transcript: transcript.prompt(TEXT),
        lambda transcript: transcript.answer(TEXT),
        lambda transcript: transcript.write("system", subtype="informational", content=TEXT),
        lambda transcript: transcript.write("attachment", attachment={"stdout": TEXT}),
        lambda transcript: transcript.note(type="api-request-blob", message={"content": TEXT}),
        lambda transcript: transcript.write(
            "user", message={"content": [{"type": "tool_result", "content": TEXT}]}
        ),
    ],
)
def test_other_lines_with_the_same_text_prove_nothing(
    transcript: Transcript, forge: Callable[[Transcript], object]
) -> None:
    """What somebody typed, what the model says, what a refused hook said, what a tool read."""
    forge(transcript)
    transcript.answer()
    assert trace(transcript).standing == ABSENT


def test_a_commands_output_counts_where_the_model_read_it(transcript: Transcript) -> None:
    """For mail that a command printed, and there alone."""
    transcript.context(TEXT)
    transcript.answer()
    assert trace(transcript, is_command=True).standing == ABSENT
    transcript.write("user", message={"content": [{"type": "tool_result", "content": TEXT}]})
    transcript.answer()
    assert trace(transcript, is_command=True).standing == ANSWERED


def test_a_prompt_that_was_taken_back_proves_nothing(transcript: Transcript) -> None:
    """The model goes on without it."""
    before = transcript.answer()
    transcript.prompt("Never mind")
    transcript.context(TEXT)
    assert trace(transcript).is_current
    transcript.write("user", parent=before, message={"content": "Another"})
    transcript.answer()
    found = trace(transcript)
    assert (found.standing, found.is_passed_over, found.is_current) == (SHOWN, True, False)


def test_a_compaction_continues_the_conversation(transcript: Transcript) -> None:
    """By its logical parent."""
    last = transcript.context(TEXT)
    transcript.last = None
    transcript.write("system", subtype="compact_boundary", logicalParentUuid=last)
    transcript.answer()
    assert trace(transcript).standing == ANSWERED


def test_only_what_is_new_is_read(transcript: Transcript) -> None:
    """Far before the place where the message was shown nothing can be about it."""
    transcript.context(TEXT)
    transcript.answer()
    for _ in range(100):
        transcript.write("user", message={"content": "x" * 4096})
    size = os.path.getsize(transcript.path)
    assert trace(transcript, since=size).standing == ABSENT
    assert trace(transcript, since=1000).standing == ANSWERED


def test_a_file_that_was_written_anew_is_read_from_the_beginning(transcript: Transcript) -> None:
    """Then the place where it ended means nothing."""
    for _ in range(100):
        transcript.write("user", message={"content": "x" * 4096})
    size = os.path.getsize(transcript.path)
    transcript.path.unlink()
    transcript.context(TEXT)
    transcript.answer()
    assert trace(transcript, since=size).standing == ANSWERED


@pytest.mark.parametrize(
    "rest", [b'{"parentUuid":null,"type":"attach', b"\xff\xfe\n", b"[]\n", b"{}\n", b"\n"]
)
def test_lines_that_are_not_whole_are_left_out(transcript: Transcript, rest: bytes) -> None:
    """The client may be writing at this moment."""
    transcript.context(TEXT)
    transcript.answer()
    with transcript.path.open("ab") as file:
        file.write(rest)
    assert trace(transcript).standing == ANSWERED
