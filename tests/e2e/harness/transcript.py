"""What a transcript proves about the text of a hook: the rules of docs/transcript.md."""

import json
from enum import Enum
from pathlib import Path
from typing import Any


class Standing(Enum):
    """How far a text that a hook gave the client has come, by the transcript alone."""

    ABSENT = "no line of the conversation has it, and it is not in the client's queue"
    QUEUED = "it waits in the client's queue, which is not part of the conversation"
    SHOWN = "a line of the conversation has it, and no answer of the model follows that line"
    ANSWERED = "the model gave an answer to a conversation that has it"


def standing(transcript: Path, mark: str) -> Standing:
    """Return how far the text with *mark* has come.

    An answer proves the text only if it descends from the line that shows it: when a user takes a
    prompt back with Esc, its lines stay in the file and the conversation goes on beside them.
    """
    found = Standing.ABSENT
    branch: set[str] = set()
    for line in transcript.read_bytes().split(b"\n")[:-1]:
        entry = json.loads(line)
        if entry["type"] == "queue-operation":
            if mark in entry.get("content", "") and found is not Standing.SHOWN:
                is_waiting = entry["operation"] == "enqueue"
                found = Standing.QUEUED if is_waiting else Standing.ABSENT
        elif _shows(entry, mark):
            branch.add(entry["uuid"])
            found = Standing.SHOWN
        elif _parent(entry) in branch:
            branch.add(entry["uuid"])
            if _is_answer(entry):
                return Standing.ANSWERED
    return found


def _shows(entry: dict[str, Any], mark: str) -> bool:
    if entry["type"] == "attachment":
        # What the model gets is `rendered`; `stdout` beside it is only the hook's record.
        return any(mark in part["content"] for part in entry.get("rendered", ()))
    if entry["type"] == "user":
        is_wake_up = entry.get("origin", {}).get("kind") == "task-notification"
        return is_wake_up and mark in str(entry["message"]["content"])
    return False


def _parent(entry: dict[str, Any]) -> str | None:
    # A compaction starts a new root, and keeps the old one's end here.
    parent: str | None = entry.get("logicalParentUuid") or entry.get("parentUuid")
    return parent


def _is_answer(entry: dict[str, Any]) -> bool:
    # The client writes answers of its own: after an API error, and on resume.
    return entry["type"] == "assistant" and entry["message"]["model"] != "<synthetic>"
