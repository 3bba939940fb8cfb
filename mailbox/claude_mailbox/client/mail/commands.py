"""The commands that make one request: peek, check, rename and list.

The fast and the full command line call the same functions, with the options as keyword arguments.
The functions for commands print, and return the exit code.

Raises, all of them:
    DaemonUnreachable: if nobody answers (exit code 2).
    MailboxError: if the daemon answers with an error (exit code 1).
"""

from claude_mailbox.client import codec
from claude_mailbox.client.mail.sending import count
from claude_mailbox.client.reach.api import Daemon, Delivery, Identity
from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupts
from claude_mailbox.client.terminal.printing import message_lines, print_mail
from claude_mailbox.client.terminal.text import mail_line
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.text import visible


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
        moved = count(renamed.get("messagesTransferred"), "message")
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
