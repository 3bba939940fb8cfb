"""What Claude Code's transcript proves about mail that a hook printed.

The facts behind the rules are in docs/transcript.md. A message has arrived when the model has
answered a conversation that contains its mark: one line shows the mark, and an answer descends from
that line.
"""

import os

from claude_mailbox.client import codec
from claude_mailbox.client.showing import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# How far a text has come. A text that is only SHOWN is in the conversation, unless the user took
# the prompt back.
ABSENT, QUEUED, SHOWN, ANSWERED = "absent", "queued", "shown", "answered"

# The client may rewrite the last 64 KiB of the file.
_REWRITTEN_BYTES = 64 * 1024
_CONVERSATION = b'{"parentUuid":'
# The model of lines that the client writes itself, after API errors and on resume.
_SYNTHETIC = "<synthetic>"


class Trace:
    """What the transcript says of one message.

    Attributes:
        standing: how far its text has come.
        is_current: whether the conversation that will be continued contains it.
        is_passed_over: whether the model has answered since without it.

    Args:
        lease: the lease that it was shown under.
        is_command: whether a command printed it, and no hook.
        shown_at: when that was, in ISO 8601 as the transcript writes it.
    """

    def __init__(self, lease: str, *, is_command: bool, shown_at: str) -> None:
        self.standing = ABSENT
        self.is_current = False
        self.is_passed_over = False
        self._mark = mark(lease)
        self._raw_mark = self._mark.encode()
        self._is_command = is_command
        self._shown_at = shown_at
        self._branch: set[object] = set()

    def concerns(self, line: bytes) -> bool:
        """Return whether the line must be read for this message."""
        return bool(self._branch) or self._raw_mark in line

    def read(self, entry: "dict[str, object]") -> None:
        """Take note of one line."""
        if entry.get("type") == "queue-operation":
            if self._mark in str(entry.get("content")) and self.standing in (ABSENT, QUEUED):
                self.standing = QUEUED if entry.get("operation") == "enqueue" else ABSENT
            return
        if "parentUuid" not in entry:
            return
        # A compaction begins a new root, and keeps the end of the old one here.
        parent = entry.get("logicalParentUuid") or entry.get("parentUuid")
        if self._shows(entry):
            self._branch.add(entry.get("uuid"))
            if self.standing != ANSWERED:
                self.standing = SHOWN
        elif parent in self._branch:
            self._branch.add(entry.get("uuid"))
            if _is_answer(entry):
                self.standing = ANSWERED
        elif _is_answer(entry) and str(entry.get("timestamp")) > self._shown_at:
            self.is_passed_over = True
        self.is_current = entry.get("uuid") in self._branch

    def _shows(self, entry: "dict[str, object]") -> bool:
        kind = entry.get("type")
        if kind == "attachment" and not self._is_command:
            # What the model gets is `rendered`; `stdout` beside it is only the hook's record.
            return any(self._mark in str(part) for part in _list(entry.get("rendered")))
        if kind == "user":
            content = _field(entry.get("message"), "content")
            if self._is_command:
                results = (each for each in _list(content) if _field(each, "type") == "tool_result")
                return any(self._mark in str(each) for each in results)
            is_wake_up = _field(entry.get("origin"), "kind") == "task-notification"
            return is_wake_up and self._mark in str(content)
        return False


def read(path: str, since: int, inode: int, traces: "list[Trace]") -> str:
    """Read what the client has appended to the transcript since it had *since* bytes.

    A missing file says nothing. A line that is not complete yet is left for the next time.

    Returns:
        The text of the model's last answer.
    """
    last_answer = ""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            start = max(0, since - _REWRITTEN_BYTES)
            if status.st_ino != inode or status.st_size < start:
                start = 0
            file.seek(start)
            if start:
                file.readline()
            for line in _lines(file):
                last_answer = _read_line(line, traces) or last_answer
    except OSError:
        pass
    return last_answer


def _lines(file: "object") -> "Iterator[bytes]":
    for line in file:  # type: ignore[attr-defined]  # a binary file
        if line.endswith(b"\n"):
            yield line


def _read_line(line: bytes, traces: "list[Trace]") -> str:
    """Show a line to the traces that it concerns; return its text if it is an answer."""
    is_conversation = line.startswith(_CONVERSATION)
    concerned = [
        trace
        for trace in traces
        if (is_conversation or b'"queue-operation"' in line[:64]) and trace.concerns(line)
    ]
    # An answer without the mark counts, too: it says that the model went on without it.
    is_answer = is_conversation and b'"assistant"' in line
    if not concerned and not is_answer:
        return ""
    try:
        entry = codec.decode(line)
    except ValueError:
        return ""
    if not isinstance(entry, dict):
        return ""
    for trace in traces if is_answer else concerned:
        trace.read(entry)
    if not _is_answer(entry):
        return ""
    parts = _list(_field(entry.get("message"), "content"))
    return "".join(str(_field(part, "text")) for part in parts if _field(part, "type") == "text")


def _is_answer(entry: "dict[str, object]") -> bool:
    is_own = _field(entry.get("message"), "model") == _SYNTHETIC
    return entry.get("type") == "assistant" and not is_own


def _field(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: object) -> "list[object]":
    return value if isinstance(value, list) else []
