"""The JSON of domain values: camelCase keys, ISO times."""

import json
from collections.abc import Mapping
from typing import cast

import orjson

from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.model.conversations import Envelope
from claude_mailbox.model.drafts import NORMAL
from claude_mailbox.model.groups import Group
from claude_mailbox.model.history import HistoryEntry, MessageStatus
from claude_mailbox.model.limits import MINUTE, Held, LoopGuard
from claude_mailbox.model.mail import (
    Backlog,
    Delivery,
    GroupReceipt,
    LeaseOutcome,
    Listing,
    Receipt,
    Rename,
)
from claude_mailbox.model.sessions import Shown
from claude_mailbox.model.text import visible_in_json
from claude_mailbox.model.times import iso_time
from claude_mailbox.model.tokens import Token


def compact(content: object) -> bytes:
    """Return JSON in UTF-8, without spaces and unnecessary escapes."""
    try:
        return orjson.dumps(content)
    except TypeError:  # for example, a number of more than 64 bits
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def delivery_json(delivery: Delivery, *, with_lease: bool, user: str) -> shapes.Delivery:
    """Return one delivered message; *user* is the mailbox of the person at this machine."""
    answer: shapes.Delivery = {
        "id": delivery.id,
        "from": delivery.sender,
        "body": delivery.body,
        "sentAt": iso_time(delivery.sent_at),
        "attempts": delivery.attempts,
    }
    if delivery.sender == user:
        answer["fromUser"] = True
    if delivery.envelope is not None:
        if delivery.envelope.group is not None:
            answer["to"] = delivery.envelope.group
        _add_envelope(answer, delivery.envelope)
    if with_lease:
        answer["lease"] = delivery.lease
    return answer


def for_models(message: Mapping[str, object], user: str) -> Mapping[str, object]:
    """Return a message whose body cannot mislead a model.

    Characters that are invisible, or that look like text of the client, are escaped; ``escaped`` says
    that the body was changed. ``fromUser`` says that the person at this machine wrote it.
    """
    if message["from"] == user:
        message = {**message, "fromUser": True}
    body = str(message["body"])
    shown = visible_in_json(body)
    return message if shown == body else {**message, "body": shown, "escaped": True}


def _add_envelope(answer: shapes.Envelope, envelope: Envelope) -> None:
    if envelope.thread is not None:
        answer["thread"] = envelope.thread
    if envelope.reply_to is not None:
        answer["replyTo"] = envelope.reply_to
    if not envelope.is_final:
        answer["final"] = False
    if envelope.urgency != NORMAL:
        answer["urgency"] = envelope.urgency
    if envelope.answer_by is not None:
        answer["answerBy"] = iso_time(envelope.answer_by)
    if envelope.notice is not None:
        answer["notice"] = envelope.notice


def answered_json(
    receipt: Receipt, delivery: Delivery | None, *, with_lease: bool, user: str
) -> shapes.Receipt:
    """Return the answer to a send that waited: the receipt, and what ended the question, if any."""
    answer = receipt_json(receipt)
    answer["answer"] = None
    if delivery is not None:
        shown = delivery_json(delivery, with_lease=with_lease, user=user)
        if "notice" in shown:
            answer["notice"] = shown
        else:
            answer["answer"] = shown
    return answer


def receipt_json(receipt: Receipt, *, quiet: bool = False) -> shapes.Receipt:
    """Return the answer to a send to a mailbox; a *quiet* message wakes nobody."""
    answer: shapes.Receipt = {
        "id": receipt.id,
        "from": receipt.sender,
        "to": receipt.recipient,
        "sentAt": iso_time(receipt.sent_at),
        "state": "held" if receipt.is_held else "queued",
        "recipient": {
            "known": receipt.known,
            "lastSeenAt": iso_time(receipt.last_seen_at),
            "watching": receipt.watching,
            "pending": receipt.pending,
            "state": "unknown" if receipt.session is None else receipt.session.state,
            "wakes": _wakes(receipt, is_quiet=quiet),
        },
    }
    if receipt.suggestions:
        answer["recipient"]["suggestions"] = list(receipt.suggestions)
    if receipt.forwarded_from is not None:
        answer["forwardedFrom"] = receipt.forwarded_from
    if receipt.guard is not None:
        answer["guard"] = _guard_json(receipt.guard, receipt.recipient)
    if receipt.duplicate:
        answer["duplicate"] = True
    return answer


def _wakes(receipt: Receipt, *, is_quiet: bool = False) -> bool:
    if receipt.is_held or is_quiet:
        return False
    return receipt.watching or (receipt.session is not None and receipt.session.has_bell)


def _guard_json(guard: LoopGuard, recipient: str) -> shapes.Guard:
    """Return what the sender is told of a long exchange with *recipient*."""
    minutes = guard.window // MINUTE
    note = (
        f"You and '{recipient}' have exchanged {guard.used} messages within {minutes} minutes"
        " without a prompt of a user."
    )
    if guard.is_held:
        note += (
            " So this one is held: it is stored, and delivered when a user enters a prompt in"
            " either session, or runs 'claude-mailbox held release'. Write no more; end your turn."
        )
    elif guard.holds:
        note += (
            f" From {guard.limit} on they are held for the user. Write only what the task needs:"
            " no thanks, no confirmation."
        )
    else:
        note += " Write only what the task needs: no thanks, no confirmation."
    answer: shapes.Guard = {"used": guard.used, "limit": guard.limit, "note": note}
    if guard.resets_at is not None:
        answer["resetsAt"] = iso_time(guard.resets_at)
    return answer


def group_receipt_json(receipt: GroupReceipt) -> shapes.GroupReceipt:
    """Return the answer to a send to a group."""
    answer: shapes.GroupReceipt = {
        "id": receipt.id,
        "from": receipt.sender,
        "to": receipt.group,
        "sentAt": iso_time(receipt.sent_at),
        "state": "held" if all(copy.is_held for copy in receipt.copies) else "queued",
        "recipients": [
            {
                "id": copy.id,
                "name": copy.recipient,
                "state": "unknown" if copy.session is None else copy.session.state,
                "wakes": _wakes(copy, is_quiet=receipt.is_quiet),
            }
            for copy in receipt.copies
        ],
    }
    for copy, row in zip(receipt.copies, answer["recipients"], strict=True):
        if copy.is_held:
            row["held"] = True
    told = max(
        ((copy.guard, copy.recipient) for copy in receipt.copies if copy.guard is not None),
        key=lambda pair: pair[0].used,
        default=None,
    )
    if told is not None:
        answer["guard"] = _guard_json(*told)
    if receipt.duplicate:
        answer["duplicate"] = True
    return answer


def held_json(held: Held) -> shapes.Held:
    """Return a held message, without its text, which is for its receiver."""
    return {
        "id": held.id,
        "from": held.sender,
        "to": held.recipient,
        "sentAt": iso_time(held.sent_at),
    }


def status_json(status: MessageStatus) -> shapes.MessageStatus:
    """Return what became of a message; empty fields are left out."""
    answer: shapes.MessageStatus = {
        "id": status.id,
        "from": status.sender,
        "to": status.recipient,
        "sentAt": iso_time(status.sent_at),
        "state": status.state,
        "attempts": status.attempts,
    }
    if status.delivered_at is not None:
        answer["deliveredAt"] = iso_time(status.delivered_at)
    if status.by is not None:
        answer["by"] = status.by
    if status.envelope is not None:
        if status.envelope.group is not None:
            answer["group"] = status.envelope.group
        _add_envelope(answer, status.envelope)
    if status.outcome is not None:
        answer["outcome"] = status.outcome
    if status.replied_by is not None:
        answer["repliedBy"] = status.replied_by
    return answer


def history_json(entry: HistoryEntry) -> shapes.HistoryEntry:
    """Return one message of a history, with ``bodyLength`` if its body was cut."""
    answer = cast("shapes.HistoryEntry", {**status_json(entry.status), "body": entry.body})
    if len(entry.body) < entry.length:
        answer["bodyLength"] = entry.length
    return answer


def backlog_json(backlog: Backlog) -> shapes.Backlog:
    """Return the answer to a peek."""
    return {"pending": backlog.pending, "oldestAt": iso_time(backlog.oldest_at)}


def listing_json(listing: Listing, *, watching: bool) -> shapes.Listing:
    """Return one row of the list of mailboxes."""
    row: shapes.Listing = {
        "name": listing.name,
        "lastSeenAt": iso_time(listing.last_seen_at),
        "pending": listing.pending,
        "pendingForYou": listing.pending_for_you,
        "watching": watching,
        "state": "unknown",
    }
    if listing.session is not None:
        session = listing.session
        row["state"] = session.state
        if session.since is not None:
            row["since"] = iso_time(session.since)
        if session.project is not None:
            row["project"] = session.project
        if session.cwd is not None:
            row["cwd"] = session.cwd
    if listing.description is not None:
        row["description"] = listing.description
    return row


def group_json(group: Group) -> shapes.Group:
    """Return a group and its members."""
    return {"name": group.name, "kind": group.kind, "members": list(group.members)}


def rename_json(renamed: Rename) -> shapes.Rename:
    """Return the answer to a rename."""
    return {"from": renamed.old, "to": renamed.new, "messagesTransferred": renamed.transferred}


def lease_outcome_json(outcome: LeaseOutcome) -> shapes.LeaseOutcome:
    """Return the answer to an ack, a release or an extension."""
    return {"done": list(outcome.done), "lost": list(outcome.lost)}


def shown_json(shown: Shown) -> shapes.Shown:
    """Return a message that a session was shown, for the hook that looks for proof."""
    return {
        "lease": shown.lease,
        "kind": shown.kind,
        "isPast": shown.is_past,
        "shownAt": iso_time(shown.shown_at),
        "transcript": shown.transcript,
        "inode": shown.inode,
        "size": shown.size,
    }


def token_json(token: Token) -> shapes.Token:
    """Return a token, without its hash."""
    return {
        "id": token.id,
        "mailboxes": list(token.patterns),
        "createdAt": iso_time(token.created_at),
        "expiresAt": iso_time(token.expires_at),
        "lastUsedAt": iso_time(token.last_used_at),
    }
