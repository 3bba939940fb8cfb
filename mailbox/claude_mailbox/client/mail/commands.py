"""The commands that make one request: send, peek, check, rename and list.

The fast and the full command line call the same functions, with the options as keyword arguments.
The functions for commands print, and return the exit code.

Raises, all of them:
    DaemonUnreachable: if nobody answers (exit code 2).
    MailboxError: if the daemon answers with an error (exit code 1).
"""

import os
import sys

from claude_mailbox.client import codec, encoding, output
from claude_mailbox.client.mail.interrupts import Interrupts
from claude_mailbox.client.mail.own import own_identity
from claude_mailbox.client.mail.printing import message_lines, print_mail
from claude_mailbox.client.reach.api import Daemon, Delivery, Identity
from claude_mailbox.client.reach.connection import ConnectionLost
from claude_mailbox.client.text import mail_line
from claude_mailbox.errors import BadRequest, OutputLost
from claude_mailbox.model.text import visible

# What an input may have besides the message: a byte order mark and the end of its last line.
_INPUT_FRAME = 8


def send(
    *, to: str, body: str, sender: str | None = None, url: str | None = None, as_json: bool = False
) -> int:
    """Send a message; the body ``-`` stands for standard input, less one final line feed."""
    identity = own_identity(sender, "--from")
    daemon = Daemon(url)
    if body == "-":
        body = _standard_input(daemon)
    try:
        result = daemon.call(
            "POST",
            "/v1/send",
            identity=identity,
            # With an idempotency key the request can be repeated when the connection breaks.
            body={"to": to, "body": body, "idempotencyKey": os.urandom(12).hex()},
            is_repeatable=True,
        )
    except ConnectionLost as error:
        raise ConnectionLost(f"{error} It is not known whether the message was stored.") from None
    receipt = result.value
    if not isinstance(receipt, dict) or not isinstance(receipt.get("recipient"), dict):
        raise daemon.wrong_server()
    try:
        output.write(codec.encode(receipt) + "\n" if as_json else _receipt_line(receipt))
    except OutputLost as error:
        raise OutputLost(f"{error} The message was sent all the same.") from None
    return 0


def peek(*, name: str, bodies: bool = False, url: str | None = None, as_json: bool = False) -> int:
    """Print how many messages wait, and with *bodies* their texts, without taking any."""
    daemon = Daemon(url)
    me = Identity(name)
    # Without bodies the name goes into the query alone: anybody may count.
    identity, query = (me, ("bodies=true",)) if bodies else (None, ())
    status = daemon.call(
        "GET", "/v1/peek", identity=identity, query=(*me.query, *query), is_repeatable=True
    ).value
    if not isinstance(status, dict) or "pending" not in status:
        raise daemon.wrong_server()
    oldest = f", the oldest sent at {status.get('oldestAt')}" if status["pending"] else ""
    lines = [codec.encode(status) if as_json else f"{status['pending']} pending{oldest}"]
    if bodies and not as_json:
        lines += _waiting_lines(status)
    output.write("\n".join(lines) + "\n")
    return 0


def _waiting_lines(status: dict[str, object]) -> list[str]:
    pending, messages = status["pending"], status.get("messages")
    if not isinstance(pending, int) or not isinstance(messages, list):
        return []
    lines = [mail_line(str(m["from"]), str(m["body"]), m["attempts"] + 1) for m in messages]
    more = pending - len(messages)
    return [*lines, f"and {more} more"] if more > 0 else lines


def check(
    *, name: str, limit: int | None = None, url: str | None = None, as_json: bool = False
) -> int:
    """Print all waiting messages, or at most *limit* of them, and ack what was printed."""
    daemon = Daemon(url)
    identity = Identity(name)
    if limit is not None and limit < 1:
        raise BadRequest("'--limit' must be 1 or more.")
    for_json: list[Delivery] = []
    count = 0
    with Interrupts() as interrupts:
        while True:
            left = None if limit is None else limit - count
            deliveries, pending = interrupts.call(daemon, daemon.claim, identity, left)
            count += len(deliveries)
            if as_json:
                for_json += deliveries
            elif deliveries:
                print_mail(
                    message_lines(deliveries),
                    deliveries,
                    daemon=daemon,
                    identity=identity,
                    interrupts=interrupts,
                )
            if not deliveries or not pending or count == limit:
                break
        if as_json:
            print_mail(
                codec.encode([delivery.fields for delivery in for_json]) + "\n",
                for_json,
                daemon=daemon,
                identity=identity,
                interrupts=interrupts,
            )
        elif not count and output.is_terminal():
            output.write("No mail.\n")
    return 0


def rename(*, name: str, to: str, url: str | None = None, as_json: bool = False) -> int:
    """Rename a mailbox; its mail moves along."""
    daemon = Daemon(url)
    renamed = daemon.call("POST", "/v1/rename", identity=Identity(name), body={"to": to}).value
    if not isinstance(renamed, dict) or "to" not in renamed:
        raise daemon.wrong_server()
    if as_json:
        output.write(codec.encode(renamed) + "\n")
    else:
        moved = _count(renamed.get("messagesTransferred"), "message")
        old, new = visible(str(renamed.get("from"))), visible(str(renamed["to"]))
        output.write(f"'{old}' is now '{new}'; {moved} moved along.\n")
    return 0


def delete(*, name: str, url: str | None = None, as_json: bool = False) -> int:
    """Delete a mailbox, unless mail waits in it or from it; the exit code is 1 then."""
    daemon = Daemon(url)
    identity = Identity(name)
    deleted = daemon.call(
        "DELETE", "/v1/mailbox", identity=identity, query=tuple(identity.query)
    ).value
    if not isinstance(deleted, dict) or "deleted" not in deleted:
        raise daemon.wrong_server()
    shown = visible(name)
    sentence = f"Mailbox '{shown}' is deleted.\n"
    if not deleted["deleted"]:
        sentence = f"'{shown}' is no mailbox, or mail still waits in it or from it: it stays.\n"
    output.write(codec.encode(deleted) + "\n" if as_json else sentence)
    return 0 if deleted["deleted"] else 1


def mailboxes(
    *, name: str | None = None, show_all: bool = False, url: str | None = None
) -> list[dict[str, object]]:
    """Return the list of mailboxes, as the mailbox *name* sees it; hidden ones with *show_all*."""
    daemon = Daemon(url)
    identity = None if name is None else Identity(name)
    query = ("all=true",) if show_all else ()
    rows = daemon.call("GET", "/v1/list", identity=identity, query=query, is_repeatable=True).value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise daemon.wrong_server()
    return rows


def _receipt_line(receipt: dict[str, object]) -> str:
    """Return one line: where the message went, and whether anybody reads that mailbox."""
    recipient = receipt["recipient"]
    assert isinstance(recipient, dict)  # noqa: S101  # `send` has checked it
    to = visible(str(receipt.get("to")))
    forwarded = receipt.get("forwardedFrom")
    line = f"Sent message {receipt.get('id')} to '{to}'"
    if forwarded is not None:
        line += f" (the new name of '{visible(str(forwarded))}')"
    if not recipient.get("known"):
        return f"{line}; nobody has used that mailbox yet: 'claude-mailbox list' shows the names.\n"
    if recipient.get("watching"):
        return f"{line}; it is being watched.\n"
    waiting = _count(recipient.get("pending"), "message")
    seen = f"{waiting} waiting there, last seen {recipient.get('lastSeenAt')}"
    state = recipient.get("state")
    if state not in (None, "unknown"):
        woken = ", and is woken" if recipient.get("wakes") and state == "idle" else ""
        seen += f"; its session is {_STATES.get(str(state), str(state))}{woken}"
    return f"{line}; {seen}.\n"


_STATES = {"ended": "over", "waiting": "waiting for its user"}


def _count(number: object, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _standard_input(daemon: Daemon) -> str:
    """Return standard input as text, of which no more is read than *daemon* takes."""
    limit = daemon.health().get("maxBodyBytes")
    if not isinstance(limit, int):
        raise daemon.wrong_server()
    try:
        data = sys.stdin.buffer.read(2)
        room = limit * (2 if encoding.is_utf_16(data) else 1) + _INPUT_FRAME
        data += sys.stdin.buffer.read(room)
        if len(data) > room:
            raise BadRequest(
                f"Standard input has more than {limit} bytes, the limit of a message"
                " (maxBodyBytes): send it in parts, or send the path of a file."
            )
        return encoding.decode(data).removesuffix("\n").removesuffix("\r")
    except AttributeError:
        raise BadRequest("Standard input is closed: give the text with --body.") from None
    except UnicodeDecodeError:
        raise BadRequest("Standard input is not UTF-8: convert the text first.") from None
