"""The commands ``receipt``, what became of a message, and ``log``, the history."""

import time

from claude_mailbox.client import codec, times
from claude_mailbox.client.reach.api import ANSWER_SECONDS, Daemon, Identity, Result
from claude_mailbox.client.reach.http1 import quote
from claude_mailbox.client.terminal import output, text
from claude_mailbox.client.terminal.interrupts import Interrupts
from claude_mailbox.errors import BadRequest, DaemonUnreachable
from claude_mailbox.model.text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

DEFAULT_SECONDS = 25.0
# The longest wait that the daemon allows for one request.
POLL_SECONDS = 300.0
EXIT_TIMEOUT = 3
DEFAULT_LIMIT = 50
# How many messages the daemon gives for one request.
PAGE_LIMIT = 500
# How often ``log --follow`` looks.
FOLLOW_SECONDS = 1.0


def receipt(
    *,
    name: str,
    number: int,
    wait_for: str | None = None,
    timeout: float | None = None,
    url: str | None = None,
    as_json: bool = False,
) -> int:
    """Print what became of a message that *name* sent or got.

    Args:
        name: the mailbox.
        number: the message.
        wait_for: ``delivered`` or ``replied``, to wait for that; or None.
        timeout: how many seconds; 25 if None.
        url: address of the daemon.
        as_json: print what the daemon says.

    Returns:
        0, or 3 if the time was up before what was waited for; the state is printed nevertheless.
    """
    if timeout is not None and wait_for is None:
        raise BadRequest("'--timeout' goes with '--wait-for' only.")
    if timeout is not None and not 0 <= timeout < float("inf"):
        raise BadRequest("'--timeout' must be a number of seconds, 0 or more.")
    daemon = Daemon(url)
    identity = Identity(name)
    deadline = time.monotonic() + (DEFAULT_SECONDS if timeout is None else timeout)
    with Interrupts() as interrupts:
        while True:
            left = max(0.0, deadline - time.monotonic())
            seconds = min(left, POLL_SECONDS)
            query = [f"id={number}"]
            if wait_for is not None:
                query += [f"wait={wait_for}", f"timeout={seconds:.3f}"]
            result = interrupts.call(
                daemon, _get, daemon, "/v1/message", identity, tuple(query), seconds
            )
            interrupts.check()
            status = result.value
            if not isinstance(status, dict) or "state" not in status:
                raise daemon.wrong_server()
            is_reached = (
                "repliedBy" in status
                if wait_for == "replied"
                else wait_for is None or status["state"] == wait_for
            )
            if is_reached or left <= POLL_SECONDS:
                break
    output.write((codec.encode(status) if as_json else status_line(status)) + "\n")
    return 0 if is_reached else EXIT_TIMEOUT


def log(
    *,
    name: str,
    peer: str | None = None,
    thread: int | None = None,
    search: str | None = None,
    since: str | None = None,
    follow: bool = False,
    limit: int = DEFAULT_LIMIT,
    url: str | None = None,
    as_json: bool = False,
) -> int:
    """Print what a mailbox sent and got, the oldest first.

    Args:
        name: the mailbox.
        peer: only what it exchanged with this mailbox.
        thread: only messages of this thread.
        search: only messages with these words and "quoted phrases".
        since: only messages sent since then: an age such as ``2h``, or a time.
        follow: go on with new messages until a signal comes.
        limit: how many messages at most, the newest; of those that there are, with *follow*.
        url: address of the daemon.
        as_json: print one JSON document; with *follow*, one for each message.
    """
    daemon = Daemon(url)
    identity = Identity(name)
    query = list(identity.query)
    restrictions = {"with": peer, "thread": thread, "q": search}
    if since is not None:
        restrictions["since"] = times.parse_since(since)
    query += [f"{key}={_quote(value)}" for key, value in restrictions.items() if value is not None]
    with Interrupts() as interrupts:
        reader = _Reader(daemon, identity, interrupts, query)
        messages = reader.read(limit)
        if as_json and not follow:
            output.write(codec.encode(messages) + "\n")
        else:
            _print(interrupts, messages, as_json=as_json)
        if follow:
            _follow(reader, interrupts, messages, as_json=as_json)
        if reader.is_incomplete:
            output.report_error("Older messages are still being indexed: search again in a while.")
    return 0


class _Reader:
    """Reads the history page by page.

    Attributes:
        is_incomplete: whether the daemon has not yet searched everything.
    """

    def __init__(
        self, daemon: Daemon, identity: Identity, interrupts: Interrupts, query: list[str]
    ) -> None:
        self._daemon = daemon
        self._identity = identity
        self._interrupts = interrupts
        self._query = query
        self.is_incomplete = False

    def read(self, limit: float, after: int = 0) -> list[dict[str, object]]:
        """Return the newest messages above *after*, at most *limit*, the oldest first."""
        messages: list[dict[str, object]] = []
        query = self._query
        while True:
            count = int(min(limit - len(messages), PAGE_LIMIT))
            result = self._interrupts.call(
                self._daemon,
                _get,
                self._daemon,
                "/v1/history",
                self._identity,
                (*query, f"limit={count}"),
                0.0,
            )
            self._interrupts.check()
            rows = result.value
            if not isinstance(rows, list) or not all(_is_message(row) for row in rows):
                raise self._daemon.wrong_server()
            fresh = [row for row in rows if row["id"] > after]
            messages += fresh
            has_more = result.headers.get("x-mailbox-more") == "true"
            self.is_incomplete = has_more and not rows
            if not has_more or not rows or len(fresh) < len(rows) or len(messages) >= limit:
                return messages[::-1]
            query = [*self._query, f"before={rows[-1]['id']}"]


def _follow(
    reader: _Reader, interrupts: Interrupts, messages: list[dict[str, object]], *, as_json: bool
) -> "NoReturn":
    """Print new messages as they come, also after a restart of the daemon."""
    last = 0
    while True:
        if messages:
            last = _number(messages[-1])
        with interrupts.raise_on_signal():
            output.wait_while_read(FOLLOW_SECONDS)
        try:
            messages = reader.read(float("inf"), after=last)
        except DaemonUnreachable:
            interrupts.check()
            messages = []
        _print(interrupts, messages, as_json=as_json)


def _print(interrupts: Interrupts, messages: list[dict[str, object]], *, as_json: bool) -> None:
    lines = [codec.encode(each) if as_json else _message_line(each) for each in messages]
    if lines:
        with interrupts.raise_on_signal():
            output.write("\n".join(lines) + "\n")


def _get(
    daemon: Daemon, path: str, identity: Identity, query: tuple[str, ...], seconds: float
) -> Result:
    return daemon.call(
        "GET",
        path,
        identity=identity,
        query=query,
        seconds=seconds + ANSWER_SECONDS,
        is_repeatable=True,
    )


def _quote(value: object) -> str:
    try:
        return quote(str(value))
    except UnicodeEncodeError:
        raise BadRequest("What to look for is not valid Unicode: give it as UTF-8.") from None


def _is_message(row: object) -> bool:
    return isinstance(row, dict) and type(row.get("id")) is int and "body" in row


def _number(message: dict[str, object]) -> int:
    number = message["id"]
    assert isinstance(number, int)  # noqa: S101  # `read` has checked it
    return number


def _state(status: dict[str, object]) -> str:
    """Return the state of a message in words."""
    state = visible(str(status.get("state")))
    if state == "delivered":
        by = status.get("by")
        return state if by is None else f"{state} by {visible(str(by))}"
    attempts = status.get("attempts")
    if state == "leased":
        return "handed out, not confirmed yet"
    if state == "waiting" and attempts:
        return (
            f"waiting, handed out {attempts} times" if attempts != 1 else "waiting, handed out once"
        )
    return state


def status_line(status: dict[str, object]) -> str:
    """Return in one line what became of a message."""
    sender, to = visible(str(status.get("from"))), visible(str(status.get("to")))
    line = f"Message {status.get('id')} from '{sender}' to '{to}': {_state(status)}"
    if status.get("outcome") is not None:
        line += f", {visible(str(status['outcome']))}"
    if status.get("repliedBy") is not None:
        line += f", replied to by message {status['repliedBy']}"
    if status.get("deliveredAt") is not None:
        line += f" at {visible(times.shown(status['deliveredAt']))}"
    return f"{line}; sent at {visible(times.shown(status.get('sentAt')))}."


def _message_line(message: dict[str, object]) -> str:
    sent = visible(times.shown(message.get("sentAt")))
    sender, to = visible(str(message.get("from"))), visible(str(message.get("to")))
    head = f"Mail {message['id']} from {sender} to {to} ({_state(message)})"
    return f"[Claude-Mailbox] {sent} {head}: {text.indented(str(message['body']))}"
