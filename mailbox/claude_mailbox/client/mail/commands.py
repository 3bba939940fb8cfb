"""The verbs that ask once: send, peek, check, rename, list.

Every verb takes keyword arguments only and returns the exit code. Both command lines, the fast
one and the full one, call it with the options of the same name.

Raises, all of them:
    DaemonUnreachable: if nobody answers (exit code 2).
    MailboxError: if the daemon refuses (exit code 1).
"""

import os
import sys

from claude_mailbox.client import codec, output, text
from claude_mailbox.client.mail.handing_over import ask, hand_over
from claude_mailbox.client.mail.interrupts import Interrupts
from claude_mailbox.client.reach.api import Daemon, Identity, Mail
from claude_mailbox.client.reach.connection import ConnectionLost
from claude_mailbox.errors import BadRequest, OutputLost


def send(*, sender: str, to: str, body: str, url: str | None = None, as_json: bool = False) -> int:
    """Send a message; a body of ``-`` is read from standard input, less one final line feed."""
    if body == "-":
        body = _standard_input()
    daemon = Daemon(url)
    try:
        reply = daemon.call(
            "POST",
            "/v1/send",
            identity=Identity(sender),
            # With a key of its own the request may be repeated when a connection breaks.
            body={"to": to, "body": body, "idempotencyKey": os.urandom(12).hex()},
            is_repeatable=True,
        )
    except ConnectionLost as error:
        raise ConnectionLost(f"{error} It is not known whether the message was stored.") from None
    receipt = reply.value
    if not isinstance(receipt, dict) or not isinstance(receipt.get("recipient"), dict):
        raise daemon.not_ours()
    try:
        output.write(codec.encode(receipt) + "\n" if as_json else _receipt_line(receipt))
    except OutputLost as error:
        raise OutputLost(f"{error} The message was sent all the same.") from None
    return 0


def peek(*, name: str, url: str | None = None, as_json: bool = False) -> int:
    """Say how many messages wait; it consumes nothing."""
    daemon = Daemon(url)
    identity = Identity(name)
    # Without the header: a look from outside is no sign that the mailbox is in use.
    reply = daemon.call("GET", "/v1/peek", query=tuple(identity.query), is_repeatable=True)
    backlog = reply.value
    if not isinstance(backlog, dict) or "pending" not in backlog:
        raise daemon.not_ours()
    oldest = f", the oldest sent at {backlog.get('oldestAt')}" if backlog["pending"] else ""
    line = codec.encode(backlog) if as_json else f"{backlog['pending']} pending{oldest}"
    output.write(line + "\n")
    return 0


def check(
    *, name: str, limit: int | None = None, url: str | None = None, as_json: bool = False
) -> int:
    """Print everything that waits (at most *limit* messages), and confirm what was printed."""
    daemon = Daemon(url)
    identity = Identity(name)
    if limit is not None and limit < 1:
        raise BadRequest("'--limit' must be 1 or more.")
    collected: list[Mail] = []
    count = 0
    with Interrupts() as interrupts:
        while True:
            left = None if limit is None else limit - count
            mails, pending = ask(interrupts, daemon, daemon.claim, identity, left)
            count += len(mails)
            if as_json:
                collected += mails
            elif mails:
                hand_over(interrupts, daemon, identity, mails, _mail_lines(mails))
            if not mails or not pending or count == limit:
                break
        if as_json:
            document = codec.encode([mail.fields for mail in collected]) + "\n"
            hand_over(interrupts, daemon, identity, collected, document)
        elif not count and output.is_terminal():
            output.write("No mail.\n")
    return 0


def rename(*, name: str, to: str, url: str | None = None, as_json: bool = False) -> int:
    """Give a mailbox another name; its mail moves along."""
    daemon = Daemon(url)
    reply = daemon.call("POST", "/v1/rename", identity=Identity(name), body={"to": to})
    renamed = reply.value
    if not isinstance(renamed, dict) or "to" not in renamed:
        raise daemon.not_ours()
    if as_json:
        output.write(codec.encode(renamed) + "\n")
    else:
        moved = _count(renamed.get("messagesTransferred"), "message")
        old, new = text.visible(str(renamed.get("from"))), text.visible(str(renamed["to"]))
        output.write(f"'{old}' is now '{new}'; {moved} moved along.\n")
    return 0


def mailboxes(*, name: str | None = None, url: str | None = None) -> list[dict[str, object]]:
    """Return the rows of the list of mailboxes, as *name* sees it."""
    daemon = Daemon(url)
    identity = None if name is None else Identity(name)
    reply = daemon.call("GET", "/v1/list", identity=identity, is_repeatable=True)
    if not isinstance(reply.value, list) or not all(isinstance(row, dict) for row in reply.value):
        raise daemon.not_ours()
    return reply.value


def _mail_lines(mails: list[Mail]) -> str:
    lines = [text.mail_line(mail.sender, mail.body, mail.attempts) for mail in mails]
    return "\n".join(lines) + "\n"


def _receipt_line(receipt: dict[str, object]) -> str:
    """Tell what became of a message, and whether anybody is there to read it."""
    recipient = receipt["recipient"]
    assert isinstance(recipient, dict)  # noqa: S101  # `send` has looked
    to = text.visible(str(receipt.get("to")))
    forwarded = receipt.get("forwardedFrom")
    line = f"Sent message {receipt.get('id')} to '{to}'"
    if forwarded is not None:
        line += f" (the name that '{text.visible(str(forwarded))}' has now)"
    if not recipient.get("known"):
        return f"{line}; nobody has used that mailbox yet: 'claude-mailbox list' shows the names.\n"
    if recipient.get("watching"):
        return f"{line}; it is being watched.\n"
    waiting = _count(recipient.get("pending"), "message")
    return f"{line}; {waiting} waiting there, last seen {recipient.get('lastSeenAt')}.\n"


def _count(number: object, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _standard_input() -> str:
    try:
        data = sys.stdin.buffer.read()
        return data.decode().removesuffix("\n").removesuffix("\r")
    except AttributeError:
        raise BadRequest("Standard input is closed: give the text with --body.") from None
    except UnicodeDecodeError:
        raise BadRequest("Standard input is not UTF-8: convert the text first.") from None
