"""What the transcripts of other clients than Claude Code prove about mail that a hook printed.

They are files to which a line is added for each step, or lines that a plugin of ours hands over. A message has arrived when the model has
answered after a line that shows its mark. The forms of the lines are not documented: they are those
of the versions in docs/clients.md; what has no line of a known form says nothing.
"""

import os

from claude_mailbox.client import codec
from claude_mailbox.client.showing import mark
from claude_mailbox.client.transcript.trace import ABSENT, ANSWERED, SHOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    StepsOf = Callable[[dict[str, object]], tuple[int, ...]]

# What a line is. ANSWER is a part of a response of the model, and WHOLE all of it; CONTEXT is what
# the model is given; END the end of a response; UNDO takes back what was not answered yet.
ANSWER, WHOLE, CONTEXT, END, UNDO = range(5)


class LinearTrace:
    """What such a transcript says of one message; see `trace.Trace`.

    Attributes:
        is_blind: whether there was no line that we know: the transcript says nothing.
    """

    def __init__(self, lease: str, *, shown_at: str) -> None:
        self.standing = ABSENT
        self.is_passed_over = False
        self.is_blind = True
        self._mark = mark(lease).encode()
        self._shown_at = shown_at
        self._is_in_response = False

    @property
    def is_current(self) -> bool:
        """Whether the conversation that will be continued contains it."""
        return self.standing in (SHOWN, ANSWERED)

    def read(self, step: int, line: bytes, time: str, *, is_in_response: bool) -> None:
        """Take note of a line.

        Args:
            step: what it is.
            line: its text.
            time: when it was written, in ISO 8601.
            is_in_response: whether the model was in the middle of a response before it.
        """
        self.is_blind = False
        if step == CONTEXT and self._mark in line and self.standing != ANSWERED:
            self.standing, self.is_passed_over = SHOWN, False
            # What that response still says was not said with this message in mind.
            self._is_in_response = is_in_response
        elif step in (ANSWER, WHOLE):
            if self.standing == SHOWN and not self._is_in_response:
                self.standing = ANSWERED
            elif self.standing == ABSENT and time > self._shown_at:
                self.is_passed_over = True
        elif step == END:
            self._is_in_response = False
        elif step == UNDO and self.standing == SHOWN:
            self.standing = ABSENT


def read(path: str, since: int, inode: int, trace: LinearTrace, client: str) -> None:
    """Read what *client* has added to its transcript since it had *since* bytes.

    A missing file says nothing. A line that is not complete yet is left for the next time.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            is_same = status.st_ino == inode and status.st_size >= since
            file.seek(since if is_same else 0)
            follow(file, trace, client)
    except OSError:
        pass


def follow(lines: "Iterable[bytes]", trace: LinearTrace, client: str) -> None:
    """Take note of lines of a client's transcript."""
    steps_of = _STEPS[client]()
    is_in_response = False
    for line in lines:
        entry = _decoded(line)
        time = str(entry.get("timestamp"))
        for step in steps_of(entry):
            trace.read(step, line, time, is_in_response=is_in_response)
            is_in_response = step == ANSWER or (step == CONTEXT and is_in_response)


def _decoded(line: bytes) -> "dict[str, object]":
    try:
        value = codec.decode(line) if line.endswith(b"\n") else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _field(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _codex() -> "StepsOf":
    def steps(entry: "dict[str, object]") -> "tuple[int, ...]":
        content = entry.get("payload")
        kind, role = str(_field(content, "type")), _field(content, "role")
        if entry.get("type") == "response_item":
            if kind == "message" and role == "developer":
                return (CONTEXT,)
            is_own = role == "assistant" or kind == "reasoning" or kind.endswith("_call")
            return (ANSWER,) if is_own else ()
        if entry.get("type") == "token_usage_record" or kind in _CODEX_ENDS:
            return (END,)
        return (UNDO,) if kind == "thread_rolled_back" else ()

    return steps


def _copilot() -> "StepsOf":
    def steps(entry: "dict[str, object]") -> "tuple[int, ...]":
        kind = str(entry.get("type"))
        if "rewind" in kind or "truncat" in kind:
            return (UNDO,)
        return (_COPILOT[kind],) if kind in _COPILOT else ()

    return steps


def _gemini() -> "StepsOf":
    known: set[object] = set()

    def steps(entry: "dict[str, object]") -> "tuple[int, ...]":
        changes = entry.get("$set")
        if "$rewindTo" in entry or (isinstance(changes, dict) and "messages" in changes):
            return (UNDO, CONTEXT)  # the line may have the rest of the conversation
        if entry.get("type") == "user":
            return (CONTEXT,)
        if entry.get("type") != "gemini" or entry.get("id") in known or "toolCalls" in entry:
            return ()  # a response is written again with the results of its tools
        known.add(entry.get("id"))
        return (WHOLE,)

    return steps


def _opencode() -> "StepsOf":
    # Our plugin makes these lines of the messages that OpenCode has.
    known = {"context": CONTEXT, "answer": WHOLE}
    return lambda entry: (known[str(entry["type"])],) if entry.get("type") in known else ()


def _qwen() -> "StepsOf":
    last: object = None

    def steps(entry: "dict[str, object]") -> "tuple[int, ...]":
        nonlocal last
        # A line that goes on from an earlier one leaves out those between.
        back = () if last in (None, entry.get("parentUuid")) else (UNDO,)
        last = entry.get("uuid")
        kind = entry.get("type")
        if kind in ("user", "tool_result"):
            return (*back, CONTEXT)
        return (*back, WHOLE) if kind == "assistant" else back

    return steps


_COPILOT = {
    "user.message": CONTEXT,
    "tool.execution_complete": CONTEXT,
    "assistant.message": WHOLE,
}
_CODEX_ENDS = frozenset({"token_count", "task_started", "turn_aborted"})
_STEPS = {
    "codex": _codex,
    "copilot": _copilot,
    "gemini": _gemini,
    "opencode": _opencode,
    "qwen": _qwen,
}
