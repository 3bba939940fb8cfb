"""``send``: one request, and one line that says where the message went and who reads it there.

The fast and the full command line call the same function, with the options as keyword arguments.
"""

import os
import sys

from claude_mailbox.client import codec
from claude_mailbox.client.mail.own import own_identity
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.connection import ConnectionLost
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import BadRequest, OutputLost
from claude_mailbox.model.text import visible

# Bytes of standard input besides the message: a byte order mark, and the end of the last line.
_INPUT_FRAME = 8


def send(
    *,
    sender: str | None = None,
    option: str = "--from",
    to: str = "",
    body: str | None = None,
    reply_to: int | None = None,
    news: bool = False,
    ask: float | None = None,
    urgency: str | None = None,
    ttl: float | None = None,
    delay: float | None = None,
    key: str | None = None,
    strict: bool = False,
    confirm: bool = False,
    url: str | None = None,
    as_json: bool = False,
) -> int:
    """Send a message.

    Args:
        sender: the sender's mailbox; if None, that of the session whose shell this is.
        option: the option that says so.
        to: the receiver's; empty for the other side of the message that it replies to.
        body: the text; None or ``-`` stands for standard input, less one final line feed.
        reply_to: number of the message that it replies to.
        news: whether it leaves the question that it replies to open.
        ask: seconds until the deadline of a question.
        urgency: ``low``, ``normal`` or ``high``.
        ttl: seconds after which it expires.
        delay: seconds after which it is delivered.
        key: idempotency key; a new one if None.
        strict: only to a mailbox that somebody has used.
        confirm: also to many members of a group.
        url: address of the daemon.
        as_json: print what the daemon says.
    """
    daemon = Daemon(url)
    identity = own_identity(daemon, sender, option)
    message: dict[str, object] = {"body": text_of(daemon, body)}
    if to:
        message["to"] = to
    more = {"replyTo": reply_to, "ask": ask, "urgency": urgency, "ttl": ttl, "delay": delay}
    message |= {field: value for field, value in more.items() if value is not None}
    if news:
        message["final"] = False
    message |= {key: True for key, value in (("strict", strict), ("confirm", confirm)) if value}
    # An idempotency key makes it safe to repeat the request when the connection breaks.
    message["idempotencyKey"] = os.urandom(12).hex() if key is None else key
    try:
        result = daemon.call(
            "POST", "/v1/send", identity=identity, body=message, is_repeatable=True
        )
    except ConnectionLost as error:
        raise ConnectionLost(f"{error} It is not known whether the message was stored.") from None
    receipt = result.value
    if not isinstance(receipt, dict) or "id" not in receipt:
        raise daemon.wrong_server()
    try:
        output.write(codec.encode(receipt) + "\n" if as_json else _receipt_line(receipt))
    except OutputLost as error:
        raise OutputLost(f"{error} The message was sent nevertheless.") from None
    return 0


def text_of(daemon: Daemon, body: str | None) -> str:
    """Return the text of a message; None or ``-`` stands for standard input.

    Raises:
        BadRequest: if it cannot be read from there.
    """
    if body is None and sys.stdin is not None and sys.stdin.isatty():
        raise BadRequest("There is no text: give it as an argument, or on standard input.")
    return _standard_input(daemon) if body is None or body == "-" else body


def _receipt_line(receipt: dict[str, object]) -> str:
    """Return where the message went, and whether anybody reads that mailbox."""
    to = visible(str(receipt.get("to")))
    line = f"Sent message {receipt.get('id')} to '{to}'"
    forwarded = receipt.get("forwardedFrom")
    if forwarded is not None:
        line += f" (the new name of '{visible(str(forwarded))}')"
    recipient, recipients = receipt.get("recipient"), receipt.get("recipients")
    if isinstance(recipients, list):
        names = [str(each.get("name")) for each in recipients if isinstance(each, dict)]
        line += f": {visible(', '.join(names))}."
    elif isinstance(recipient, dict) and receipt.get("state") != "held":
        line += f"; {_recipient_line(recipient)}."
    else:
        line += "."
    guard = receipt.get("guard")
    told = f" {visible(str(guard.get('note')))}" if isinstance(guard, dict) else ""
    return f"{line}{told}\n"


def _recipient_line(recipient: dict[str, object]) -> str:
    if not recipient.get("known"):
        suggestions = recipient.get("suggestions")
        line = "nobody has used that mailbox yet: "
        if isinstance(suggestions, list):
            names = " or ".join(f"'{name}'" for name in suggestions)
            return f"{line}perhaps you mean {visible(names)}"
        return line + "'claude-mailbox list' shows the names"
    if recipient.get("watching"):
        return "it is being watched"
    waiting = count(recipient.get("pending"), "message")
    seen = f"{waiting} waiting there, last seen {recipient.get('lastSeenAt')}"
    state = recipient.get("state")
    if state not in (None, "unknown"):
        woken = ", and is woken" if recipient.get("wakes") and state == "idle" else ""
        seen += f"; its session is {_STATES.get(str(state), str(state))}{woken}"
    return seen


_STATES = {"ended": "over", "waiting": "waiting for its user"}


def count(number: object, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _standard_input(daemon: Daemon) -> str:
    """Return standard input as text, of which no more is read than *daemon* takes."""
    limit = daemon.health().get("maxBodyBytes")
    if not isinstance(limit, int):
        raise daemon.wrong_server()
    try:
        data = sys.stdin.buffer.read(2)
        room = limit * (2 if codec.is_utf_16(data) else 1) + _INPUT_FRAME
        data += sys.stdin.buffer.read(room)
        if len(data) > room:
            raise BadRequest(
                f"Standard input has more than {limit} bytes, the limit of a message"
                " (maxBodyBytes): send it in parts, or send the path of a file."
            )
        return codec.decode_text(data).removesuffix("\n").removesuffix("\r")
    except AttributeError:
        raise BadRequest("Standard input is closed: give the text with --body.") from None
    except UnicodeDecodeError:
        raise BadRequest("Standard input is not UTF-8: convert the text first.") from None
