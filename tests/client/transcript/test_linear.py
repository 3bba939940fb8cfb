"""What the files of other clients than Claude Code prove, on lines as these clients write them."""

import json
from pathlib import Path

import pytest

from claude_mailbox.client.showing import mark
from claude_mailbox.client.transcript.linear import LinearTrace, read
from claude_mailbox.client.transcript.trace import ABSENT, ANSWERED, SHOWN
from client.transcript.rollout import (
    ANSWER,
    BACK,
    CALL,
    OUTPUT,
    PROMPT,
    START,
    USAGE,
    Line,
    append,
    message,
)

LEASE = "7-5d0a1c3f9b2e"
LONG_AGO = "2026-01-01T00:00:00.000Z"

CONTEXT = message("developer", f"From a, id 7:\n  hello\n{mark(LEASE)}")


NOW = "2026-11-27T13:07:39.866Z"


def follow(path: Path, client: str, *entries: dict[str, object]) -> LinearTrace:
    """Return what a file with these lines says of the message."""
    with path.open("a") as file:
        file.writelines(json.dumps({"timestamp": NOW, **entry}) + "\n" for entry in entries)
    found = LinearTrace(LEASE, shown_at=LONG_AGO)
    read(str(path), 0, 0, found, client)
    return found


def trace(path: Path, *lines: Line, since: int = 0, inode: int = 0) -> LinearTrace:
    """Return what a rollout with these lines says of the message."""
    if lines:
        append(path, *lines)
    found = LinearTrace(LEASE, shown_at=LONG_AGO)
    read(str(path), since, inode, found, "codex")
    return found


@pytest.fixture
def rollout(tmp_path: Path) -> Path:
    """The file, which is not there yet."""
    return tmp_path / "rollout.jsonl"


def test_an_answer_after_the_line_that_shows_it_is_proof(rollout: Path) -> None:
    """Until then it is only shown."""
    assert trace(rollout, START, PROMPT).standing == ABSENT
    shown = trace(rollout, CONTEXT)
    assert (shown.standing, shown.is_current) == (SHOWN, True)
    assert trace(rollout, ANSWER, USAGE).standing == ANSWERED


def test_between_tools_the_next_response_is_proof(rollout: Path) -> None:
    """Not what was left of the response whose tool ran."""
    assert trace(rollout, START, PROMPT, CALL, CONTEXT, CALL, OUTPUT, OUTPUT).standing == SHOWN
    assert trace(rollout, USAGE).standing == SHOWN
    assert trace(rollout, ANSWER).standing == ANSWERED


@pytest.mark.parametrize(
    "line",
    [
        message("user", mark(LEASE)),
        message("assistant", mark(LEASE)),
        ("event_msg", {"type": "item_completed", "item": {"text": mark(LEASE)}}),
        ("response_item", {"type": "function_call_output", "output": mark(LEASE)}),
    ],
)
def test_other_lines_with_the_mark_prove_nothing(rollout: Path, line: Line) -> None:
    """What a user types, the model says, or a tool prints."""
    passed = trace(rollout, START, line, USAGE, ANSWER)
    assert (passed.standing, passed.is_current) == (ABSENT, False)
    assert passed.is_passed_over


def test_a_turn_that_is_taken_back_proves_nothing(rollout: Path) -> None:
    """What was answered before that has arrived all the same."""
    assert trace(rollout, START, CONTEXT, BACK).standing == ABSENT
    assert trace(rollout, START, PROMPT, ANSWER).standing == ABSENT
    assert trace(rollout, CONTEXT, PROMPT, USAGE, ANSWER, BACK).standing == ANSWERED


def test_reading_continues_where_it_ended(rollout: Path) -> None:
    """Or from the start, if it is another file; a line that is not whole is left."""
    trace(rollout, CONTEXT)
    status = rollout.stat()
    assert trace(rollout, ANSWER, since=status.st_size, inode=status.st_ino).standing == ABSENT
    assert trace(rollout, since=status.st_size, inode=status.st_ino + 1).standing == ANSWERED
    whole = rollout.read_text()
    rollout.write_text(whole[:-1])
    assert trace(rollout).standing == SHOWN
    assert trace(rollout.with_name("none")).standing == ABSENT


def test_a_response_of_gemini_that_is_written_again_is_no_new_one(rollout: Path) -> None:
    """A response is written again with the results of its tools, which is no new one."""

    def said(*entries: dict[str, object]) -> LinearTrace:
        return follow(rollout, "gemini", *entries)

    result = {"functionResponse": {"response": {"output": f"ok {mark(LEASE)}"}}}
    assert said({"id": "1", "type": "user", "content": [{"text": "Go on."}]}).standing == ABSENT
    said({"id": "2", "type": "gemini", "content": ""})
    said({"id": "2", "type": "gemini", "toolCalls": [{"result": [result]}]})
    assert said({"$set": {"lastUpdated": NOW}}).standing == ABSENT
    assert said({"id": "3", "type": "user", "content": [result]}).standing == SHOWN
    assert said({"id": "2", "type": "gemini", "content": ""}).standing == SHOWN
    assert said({"id": "4", "type": "gemini", "content": "Done."}).standing == ANSWERED


def test_a_rewind_of_gemini_takes_the_mark_away(rollout: Path) -> None:
    """What is left of the conversation may have it."""
    shown = {"id": "1", "type": "user", "content": [{"text": mark(LEASE)}]}
    assert follow(rollout, "gemini", shown, {"$rewindTo": "0"}).standing == ABSENT
    assert follow(rollout, "gemini", {"$set": {"messages": [shown]}}).standing == SHOWN
    assert follow(rollout, "gemini", {"$set": {"messages": []}}).standing == ABSENT


def test_a_branch_of_qwen_leaves_out_the_lines_between(rollout: Path) -> None:
    """A line that goes on from an earlier one leaves out those between."""

    def line(number: int, kind: str, text: str, parent: int) -> dict[str, object]:
        message = {"parts": [{"text": text}]}
        return {"uuid": str(number), "parentUuid": str(parent), "type": kind, "message": message}

    def said(*entries: dict[str, object]) -> LinearTrace:
        return follow(rollout, "qwen", *entries)

    said(line(1, "user", "Hello.", 0), line(2, "assistant", "Hi.", 1))
    assert said(line(3, "tool_result", mark(LEASE), 2)).standing == SHOWN
    assert said(line(4, "system", "", 3)).standing == SHOWN
    assert said(line(5, "user", "Another way.", 2)).standing == ABSENT
    assert said(line(6, "assistant", "Yes.", 5)).standing == ABSENT
    assert said(line(7, "user", mark(LEASE), 6), line(8, "assistant", "", 7)).standing == ANSWERED


def test_what_copilot_notes_of_a_hook_proves_nothing(rollout: Path) -> None:
    """What it notes of the hook itself is not yet what the model is given."""

    def said(kind: str, **data: object) -> LinearTrace:
        return follow(rollout, "copilot", {"type": kind, "data": data})

    said("hook.end", output={"additionalContext": mark(LEASE)})
    assert said("assistant.message", content="Hi.").standing == ABSENT
    assert said("user.message", transformedContent=f"Go on. {mark(LEASE)}").standing == SHOWN
    assert said("assistant.turn_start").standing == SHOWN
    assert said("assistant.message", content="Done.").standing == ANSWERED
