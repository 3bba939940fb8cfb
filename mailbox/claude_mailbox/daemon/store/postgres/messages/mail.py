"""SQL of sending and peeking."""

from claude_mailbox.daemon.store.digests import digest_of
from claude_mailbox.daemon.store.envelopes import URGENCY_NUMBERS
from claude_mailbox.daemon.store.operations.mail import LookUpPresence, MailStore
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.keys import PostgresKeys
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.people.shown import facts_statement
from claude_mailbox.daemon.store.postgres.schema import DELAYED, WAITING
from claude_mailbox.errors import QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import KEY_MILLISECONDS, Backlog, Receipt
from claude_mailbox.refusals import KeyReused

_SEND = f"SELECT * FROM send_message({', '.join(['%s'] * 22)})"
_MAX_PENDING = 2**62
_LINE = f"SELECT id FROM message WHERE recipient_id = %(id)s AND state = {WAITING}"
_IN_ORDER = " ORDER BY urgency < 1, id LIMIT 1"


class PostgresMail(MailStore):
    def __init__(
        self,
        connection: StoreConnection,
        locks: MailboxLocks,
        mailboxes: PostgresMailboxes,
        keys: PostgresKeys,
    ) -> None:
        self._connection = connection
        self._locks = locks
        self._mailboxes = mailboxes
        self._keys = keys

    def send(
        self,
        draft: Draft,
        now: int,
        *,
        thread: int | None = None,
        max_pending: int = 100_000,
        presence: LookUpPresence = lambda name: (None, False),
    ) -> Receipt:
        # The usual case: both names are present ones, and the message is accepted.
        stored = self._store(draft, draft.sender, draft.to, now, thread, max_pending, presence)
        if stored is not None:
            return stored
        _, sender, _ = self._mailboxes.find_or_make(draft.sender, now)
        recipient_id, recipient, _ = self._mailboxes.find_or_make(
            draft.to, now, seen=False, locked=True
        )
        first = self._first(sender, draft, now)
        if first is not None:
            return first
        stored = self._store(draft, sender, recipient, now, thread, max_pending, presence)
        if stored is None:
            pending = self._mailboxes.counts(recipient_id)[1]
            raise QuotaFull(
                f"Mailbox '{recipient}' is full: {pending} messages pend there (the limit"
                f" is {max_pending}, maxPendingPerMailbox). Nothing was stored; send again when its"
                " owner has read some."
            )
        return stored

    def _store(
        self,
        draft: Draft,
        sender: str,
        recipient: str,
        now: int,
        thread: int | None,
        max_pending: int,
        presence: LookUpPresence,
    ) -> Receipt | None:
        """Store a message and its key in one round trip; None if that is not possible."""
        seen_at, watching = presence(recipient)
        forwarded_from = draft.to if recipient != draft.to else None
        has_key = draft.key is not None
        [(_, number, last_seen_at, pending, has_session)] = self._locks.by_function(
            _SEND,
            (
                sender,
                recipient,
                draft.body.encode(),
                now,
                WAITING if draft.delay is None else DELAYED,
                thread,
                draft.reply_to,
                draft.is_final,
                URGENCY_NUMBERS[draft.urgency],
                draft.is_quiet,
                _after(now, draft.delay),
                _after(now, draft.ttl),
                _after(now, draft.ask),
                min(max_pending, _MAX_PENDING),
                seen_at,
                watching,
                forwarded_from,
                draft.key.encode() if draft.key is not None else None,
                sorted({draft.sender, sender}) if has_key else None,
                digest_of(draft) if has_key else None,
                now - KEY_MILLISECONDS,
            ),
            name=recipient,
        )
        if number is None:
            return None
        if not has_session:
            self._connection.note_empty(facts_statement(recipient))
        return Receipt(
            id=number,
            sender=sender,
            recipient=recipient,
            sent_at=now,
            known=last_seen_at is not None,
            last_seen_at=last_seen_at,
            watching=watching,
            pending=pending,
            forwarded_from=forwarded_from,
        )

    def _first(self, sender: str, draft: Draft, now: int) -> Receipt | None:
        """Return the receipt of the first send with this key, or None."""
        if draft.key is None:
            return None
        found = self._keys.find(sender, draft.key, now)
        if found is None:
            return None
        first, first_digest = found
        if digest_of(draft) != first_digest or not self._is_recipient(draft.to, first):
            raise KeyReused()
        return first

    def _is_recipient(self, name: str, receipt: Receipt) -> bool:
        """Return whether *name* was the receipt's recipient, or is the same mailbox now."""
        if name in (receipt.forwarded_from, receipt.recipient):
            return True
        found = self._mailboxes.find(name)
        row = self._connection.execute(
            "SELECT recipient_id FROM message WHERE id = %s", (receipt.id,)
        ).fetchone()
        return found is not None and row is not None and found[0] == row[0]

    def forget_keys(self, before: int) -> int:
        return self._keys.delete_before(before)

    def peek(self, name: str) -> Backlog:
        found = self._mailboxes.find(name)
        if found is None:
            return Backlog(0, None)
        row = self._connection.execute(
            # The first of the line may be urgent, and one that is not be older. Each half reads one
            # row of the line's index.
            "SELECT sent_at FROM message WHERE id ="
            f" least(({_LINE}{_IN_ORDER}), ({_LINE} AND (urgency < 1) IS TRUE{_IN_ORDER}))",
            {"id": found[0]},
        ).fetchone()
        return Backlog(self._mailboxes.counts(found[0])[0], None if row is None else row[0])


def _after(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else now + round(seconds * 1000)
