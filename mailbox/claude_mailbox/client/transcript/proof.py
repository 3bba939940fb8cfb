"""Tells the daemon which of the mail that hooks printed has arrived in the model's conversation.

What was printed stays leased (see showing.py). Hooks that run anyway look into the transcript:
what the model has answered has arrived, and what it has passed over goes back.
"""

import time

from claude_mailbox.client.transcript import linear
from claude_mailbox.client.transcript.trace import ANSWERED, QUEUED, Trace, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.client.reach.api import Daemon

    AnyTrace = Trace | linear.LinearTrace

# The client writes its transcript every 100 ms, so the end of a turn may come a little later than
# the hook that runs then. That hook is asynchronous: it may wait.
_FLUSH_SECONDS = 2.0
_PAUSE_SECONDS = 0.1

# When a hook runs, and what an unproved message is then.
PROMPT, TURN_END, SESSION_END, RESUME = "prompt", "turn end", "session end", "resume"


def report_arrivals(
    daemon: "Daemon",
    session: str,
    unproved: "list[dict[str, object]]",
    moment: str,
    last_answer: str = "",
    client: "str | None" = None,
    lines: "list[bytes] | None" = None,
) -> None:
    """Look for proof of these messages, and tell the daemon what has arrived and what has not.

    Args:
        daemon: to tell it to.
        session: the session's id.
        unproved: as ``report_event`` returned them.
        moment: ``PROMPT``, ``TURN_END``, ``SESSION_END`` or ``RESUME``.
        last_answer: at a turn's end, what the model said last: its end is in the file when this is.
        client: whose transcript it is; None for Claude Code.
        lines: all of the transcript that matters, where it is no file.
    """
    if not unproved:
        return
    may_grow = moment == TURN_END and lines is None
    deadline = time.monotonic() + (_FLUSH_SECONDS if may_grow else 0)
    while True:
        traces, found_answer = (
            _trace(unproved) if client is None else _follow(unproved, client, lines)
        )
        is_complete = not last_answer.strip() or last_answer.strip() in found_answer
        is_all_there = all(trace.standing == ANSWERED for _, trace in traces)
        if is_all_there or time.monotonic() >= deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    if moment == TURN_END and not is_complete:
        traces = [(each, trace) for each, trace in traces if trace.standing == ANSWERED]
    arrived = [str(each["lease"]) for each, trace in traces if _has_arrived(trace, moment)]
    lost = [
        str(each["lease"])
        for each, trace in traces
        if not _has_arrived(trace, moment) and _is_lost(each, trace, moment)
    ]
    if arrived or lost:
        body = {"sessionId": session, "arrived": arrived, "lost": lost}
        daemon.call("POST", "/v1/session/proof", body=body, is_repeatable=True)


def _follow(
    unproved: "list[dict[str, object]]", client: str, lines: "list[bytes] | None"
) -> "tuple[list[tuple[dict[str, object], AnyTrace]], str]":
    """Do as `_trace` does for a client other than Claude Code; what it answered last is not told."""
    traces = [
        (each, linear.LinearTrace(str(each.get("lease")), shown_at=str(each.get("shownAt"))))
        for each in unproved
    ]
    for each, trace in traces:
        path = str(each.get("transcript"))
        if lines is not None:
            linear.follow(lines, trace, client)
            continue
        linear.read(path, _number(each, "size"), _number(each, "inode"), trace, client)
    return list(traces), ""


def _trace(
    unproved: "list[dict[str, object]]",
) -> "tuple[list[tuple[dict[str, object], AnyTrace]], str]":
    """Return what each message's transcript says of it, and the model's last answer."""
    traces = [
        (
            each,
            Trace(
                str(each.get("lease")),
                is_command=each.get("kind") == "command",
                shown_at=str(each.get("shownAt")),
            ),
        )
        for each in unproved
    ]
    last_answer = ""
    for path in {str(each.get("transcript")) for each in unproved} - {""}:
        mine = [(each, trace) for each, trace in traces if each.get("transcript") == path]
        oldest = min((each for each, _ in mine), key=lambda each: _number(each, "size"))
        since, inode = _number(oldest, "size"), _number(oldest, "inode")
        last_answer = read(path, since, inode, [trace for _, trace in mine])
    return list(traces), last_answer


def _has_arrived(trace: "AnyTrace", moment: str) -> bool:
    if isinstance(trace, linear.LinearTrace) and trace.is_blind and moment == TURN_END:
        return True  # nothing will ever prove it: what was printed counts, as without a transcript
    return trace.standing == ANSWERED or (moment == RESUME and trace.is_current)


def _is_lost(each: "dict[str, object]", trace: "AnyTrace", moment: str) -> bool:
    if moment == RESUME:
        return True
    if each.get("kind") == "command":
        # The model may read a command's output whenever it likes.
        return moment == SESSION_END
    if moment == SESSION_END:
        return True
    is_past = each.get("isPast") is True and trace.is_passed_over
    return moment == TURN_END and is_past and trace.standing != QUEUED


def _number(each: "dict[str, object]", key: str) -> int:
    value = each.get(key)
    return value if isinstance(value, int) else 0
