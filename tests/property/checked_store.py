"""The store beside a simple model, and what must be true of both after every step."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import MailboxError
from property.queue_model import (
    DELAYED,
    DELETED,
    DELIVERED,
    EXPIRED,
    LEASED,
    PARKED,
    WAITING,
    Queue,
)
from support.stores import Store

T = TypeVar("T")

START = 1_700_000_000_000


class CheckedStore(RuleBasedStateMachine):
    """A store and a model of it, which agree after every step."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        super().__init__()
        self.store = open_store()
        self.model = Queue()
        self.now = START

    def teardown(self) -> None:
        """Check the database, and close it."""
        self.store.close()

    @property
    def transaction(self) -> Transaction:
        """The operations of the open database."""
        return self.store.transaction

    def commit(self, job: Callable[[Transaction], T]) -> T:
        """Run a job as the ledger does; an error undoes it."""
        self.store.begin()
        try:
            value = job(self.transaction)
        except MailboxError:
            self.store.rollback()
            raise
        self.store.commit()
        return value

    @invariant()
    def messages_agree(self) -> None:
        """Every message is in the state that it should be in."""
        states = {
            WAITING: 0,
            LEASED: 1,
            DELIVERED: 2,
            DELAYED: 3,
            EXPIRED: 5,
            PARKED: 6,
            DELETED: 7,
        }
        rows = self.store.query(
            "SELECT id, state, attempts, lease_until, outcome, notice FROM message ORDER BY id"
        )
        assert rows == [
            (x.id, states[x.state], x.attempts, x.until, x.outcome, x.notice)
            for x in self.model.messages
        ]

    @invariant()
    def counts_agree(self) -> None:
        """The counts that triggers keep are those that counting yields."""
        kept = self.store.query(
            "SELECT recipient_id, sender_id, waiting, leased, hidden, quiet FROM backlog"
            " WHERE waiting <> 0 OR leased <> 0 OR hidden <> 0 ORDER BY 1, 2"
        )
        counted = self.store.query(
            "SELECT recipient_id, sender_id, count(*) FILTER (WHERE state = 0),"
            " count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state IN (3, 4)),"
            " count(*) FILTER (WHERE state = 0 AND is_quiet) FROM message"
            " WHERE state IN (0, 1, 3, 4) GROUP BY 1, 2 ORDER BY 1, 2"
        )
        assert kept == counted

    @invariant()
    def keys_agree(self) -> None:
        """Each key leads to the message that it was sent with."""
        rows = self.store.query("SELECT sender, key, message_id FROM idempotency_key")
        # PostgreSQL's text cannot hold every key, so it has bytes.
        kept = {
            (sender, key.decode() if isinstance(key, bytes) else key): number
            for sender, key, number in rows
        }
        assert kept == {name: keyed.message.id for name, keyed in self.model.keys.items()}

    @invariant()
    def names_agree(self) -> None:
        """Present and former names lead to the right mailboxes, and to no others."""
        rows = self.store.query("SELECT name, last_seen_at FROM mailbox")
        assert dict(rows) == {mailbox.name: mailbox.seen_at for mailbox in self.model.mailboxes}
        aliases = self.store.query(
            "SELECT alias.name, mailbox.name FROM alias JOIN mailbox ON mailbox_id = id"
        )
        assert dict(aliases) == {
            old: mailbox.name for mailbox in self.model.mailboxes for old in mailbox.former
        }
        assert self.store.query("SELECT count(*) FROM alias") == [(len(aliases),)]

    @invariant()
    def peeks_agree(self) -> None:
        """A peek counts what waits, and changes nothing."""
        for name in ["ann", "bob", "nobody"]:
            backlog = self.transaction.mail.peek(name)
            mailbox = self.model.find(name)
            waiting = self.model.of(mailbox, WAITING) if mailbox else []
            assert backlog.pending == len(waiting)
            assert backlog.oldest_at == (waiting[0].sent_at if waiting else None)

    @precondition(lambda self: self.model.mailboxes)
    @invariant()
    def lists_agree(self) -> None:
        """The list shows the recent, the caller, and who wrote to the caller."""
        caller, since = "bob", self.now - 60_000
        own = self.model.find(caller)
        expected = {}
        for mailbox in self.model.mailboxes:
            used = mailbox.seen_at if mailbox.seen_at is not None else mailbox.created_at
            for_caller = (
                [x for x in self.model.of(own, WAITING) if x.sender is mailbox] if own else []
            )
            if used >= since or mailbox is own or for_caller:
                waiting = self.model.of(mailbox, WAITING)
                expected[mailbox.name] = (len(waiting), len(for_caller))
        rows = self.transaction.mailboxes.listings(caller, since)
        assert {row.name: (row.pending, row.pending_for_you) for row in rows} == expected
