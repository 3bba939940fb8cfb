"""The store beside a simple model, and what must be true of both after every step."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
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

T = TypeVar("T")

START = 1_700_000_000_000


class CheckedStore(RuleBasedStateMachine):
    """A store and a model of it, which agree after every step."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(
            dir="/dev/shm" if Path("/dev/shm").is_dir() else None
        )
        self._path = str(Path(self._folder.name) / "mailbox.db")
        self.open()
        self.model = Queue()
        self.now = START

    def open(self) -> None:
        """Open the database, as a daemon does at its start."""
        self.connection = open_database(self._path)
        self.connection.pragma("synchronous", "off")
        self.transaction = create_transaction(self.connection)

    def teardown(self) -> None:
        """Check the file, and remove it."""
        assert self.connection.pragma("integrity_check") == "ok"
        self.connection.close()
        self._folder.cleanup()

    def commit(self, job: Callable[[Transaction], T]) -> T:
        """Run a job as the ledger does; an error undoes it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            value = job(self.transaction)
        except MailboxError:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
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
        rows = self.connection.execute(
            "SELECT id, state, attempts, lease_until, outcome, notice FROM message ORDER BY id"
        ).fetchall()
        assert rows == [
            (x.id, states[x.state], x.attempts, x.until, x.outcome, x.notice)
            for x in self.model.messages
        ]

    @invariant()
    def counts_agree(self) -> None:
        """The counts that triggers keep are those that counting yields."""
        kept = self.connection.execute(
            "SELECT recipient_id, sender_id, waiting, leased, hidden, quiet FROM backlog"
            " WHERE waiting <> 0 OR leased <> 0 OR hidden <> 0 ORDER BY 1, 2"
        ).fetchall()
        counted = self.connection.execute(
            "SELECT recipient_id, sender_id, sum(state = 0), sum(state = 1), sum(state IN (3, 4)),"
            " sum(state = 0 AND is_quiet) FROM message"
            " WHERE state IN (0, 1, 3, 4) GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        assert kept == counted

    @invariant()
    def keys_agree(self) -> None:
        """Each key leads to the message that it was sent with."""
        rows = self.connection.execute("SELECT sender, key, message_id FROM idempotency_key")
        kept = {(sender, key): number for sender, key, number in rows}
        assert kept == {name: keyed.message.id for name, keyed in self.model.keys.items()}

    @invariant()
    def names_agree(self) -> None:
        """Present and former names lead to the right mailboxes, and to no others."""
        rows = self.connection.execute("SELECT name, last_seen_at FROM mailbox").fetchall()
        assert dict(rows) == {mailbox.name: mailbox.seen_at for mailbox in self.model.mailboxes}
        aliases = self.connection.execute(
            "SELECT alias.name, mailbox.name FROM alias JOIN mailbox ON mailbox_id = id"
        ).fetchall()
        assert dict(aliases) == {
            old: mailbox.name for mailbox in self.model.mailboxes for old in mailbox.former
        }
        assert self.connection.execute("SELECT count(*) FROM alias").get == len(aliases)

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
