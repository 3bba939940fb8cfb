"""Limits on messages to sessions: a number per minute, and no endless exchanges.

Two models that thank each other for each message would never stop. So the messages between two
sessions are counted until a user enters a prompt in one of them::

             guard_after                 hold_after
    quiet ---------------> told once ---------------> held
      ^                        |                        |
      |   a user's prompt, or  |                        | a user's prompt, or
      +-- the window is over --+                        | the user releases them
      +-------------------------------------------------+

A held message is stored, and keeps its place in the line. While one is held between two sessions,
later ones are held, too, so that none overtakes it.
"""

from collections.abc import Mapping, Sequence

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.limits import MINUTE, Exchange, Limits, LoopGuard
from claude_mailbox.model.mail import Receipt
from claude_mailbox.model.names import is_reserved
from claude_mailbox.model.sessions import SessionFacts
from claude_mailbox.model.times import iso_time
from claude_mailbox.refusals import TooManyMessages

# The session of each mailbox, and the keys of the client processes that run it.
SessionsByMailbox = Mapping[str, tuple[SessionFacts, Sequence[str]]]


def count(
    limits: Limits,
    transaction: Transaction,
    receipt: Receipt,
    sessions: SessionsByMailbox,
    now: int,
) -> LoopGuard | None:
    """Count a message that was just stored, and hold it if there are too many.

    Only messages to running sessions count, and none by the daemon or the user.

    Args:
        limits: the configured limits.
        transaction: the job's.
        receipt: the message's.
        sessions: those of the recipient.
        now: milliseconds since the epoch.

    Returns:
        What the sender is told, or None.

    Raises:
        TooManyMessages: if it is one too many for this minute.
    """
    sender, recipient = receipt.sender, receipt.recipient
    if (
        not _is_running(sessions, recipient)
        or sender == recipient
        or sender == limits.user
        or is_reserved(sender)
    ):
        return None
    exchange = transaction.exchanges.lately(receipt.id, look_back(limits, now))
    check_rate(limits, exchange, now, recipient)
    transaction.exchanges.note(receipt.id)
    if not _is_running(transaction.shown.facts(sender), sender):
        return None
    told = guard(limits, exchange, now)
    if told is not None and told.is_held:
        transaction.exchanges.hold(receipt.id)
    return told


def _is_running(sessions: SessionsByMailbox, mailbox: str) -> bool:
    return mailbox in sessions and sessions[mailbox][0].state != "ended"


def look_back(limits: Limits, now: int) -> int:
    """Return from when on messages must be known, in milliseconds since the epoch."""
    # Twice the window: whether the sender was told before depends on what counted then.
    return now - max(2 * limits.window, MINUTE)


def check_rate(limits: Limits, exchange: Exchange, now: int, recipient: str) -> None:
    """Check that the sender may write one more message to *recipient*.

    Raises:
        TooManyMessages: if there were too many in the last minute.
    """
    if not limits.per_minute:
        return
    own = [each.at for each in exchange.messages if each.is_own and each.at > now - MINUTE]
    if len(own) < limits.per_minute:
        return
    free_at = own[-limits.per_minute] + MINUTE
    seconds = -(-(free_at - now) // 1000)
    raise TooManyMessages(
        f"{len(own)} messages went to '{recipient}' within a minute (the limit is"
        f" {limits.per_minute}, maxPerMinute). Nothing was stored: wait {seconds} s, until"
        f" {iso_time(free_at)}, and put what you have to say into one message.",
        iso_time(free_at),
        seconds,
    )


def guard(limits: Limits, exchange: Exchange, now: int) -> LoopGuard | None:
    """Return what the sender of one more message is told, or None.

    A sender is told once when *guard_after* is reached, again when it is reached anew, and of each
    message that is held.
    """
    used = _count(exchange, len(exchange.messages), now, limits.window) + 1
    is_held = exchange.is_held or 0 < limits.hold_after <= used
    if not is_held and not (
        0 < limits.guard_after <= used and _last_used(limits, exchange) < limits.guard_after
    ):
        return None
    return LoopGuard(
        used=used,
        limit=limits.hold_after or limits.guard_after,
        window=limits.window,
        resets_at=None if is_held else now + limits.window,
        holds=limits.hold_after > 0,
    )


def _count(exchange: Exchange, end: int, now: int, window: int) -> int:
    """Return how many of the first *end* messages are in the window that ends at *now*."""
    return sum(each.at > now - window for each in exchange.messages[:end])


def _last_used(limits: Limits, exchange: Exchange) -> int:
    """Return how many messages counted when the sender last wrote, that message included."""
    for index in range(len(exchange.messages) - 1, -1, -1):
        each = exchange.messages[index]
        if each.is_own:
            return _count(exchange, index, each.at, limits.window) + 1
    return 0
