"""The store against a simple model, in random sequences of everything that can happen to mail."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from claude_mailbox.daemon.store.engine import Transaction
from claude_mailbox.daemon.store.sqlite.schema import open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.errors import (
    BadRequest,
    KeyReused,
    MailboxError,
    QuotaFull,
    Renamed,
    TargetExists,
)
from claude_mailbox.model import FRAME_CHARACTERS, KEY_MILLISECONDS
from property.queue_model import DELIVERED, LEASED, WAITING, Box, Keyed, Letter, Queue

T = TypeVar("T")

names = st.sampled_from(["ann", "bob", "邮箱", "x y"])
bodies = st.text("aé🙂\n\x00", min_size=1, max_size=12)
seconds = st.sampled_from([1, 30, 100])
LIMIT = 5
START = 1_700_000_000_000


class Mail(RuleBasedStateMachine):
    """Runs every step on the store and on the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(
            dir="/dev/shm" if Path("/dev/shm").is_dir() else None
        )
        self._path = str(Path(self._folder.name) / "mailbox.db")
        self.open()
        self.model = Queue()
        self.now = START
        self.last_id = 0
        self.issued: list[str] = []

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

    # What people do.

    @rule(sender=names, to=names, texts=st.lists(bodies, min_size=1, max_size=4))
    def send_some(self, sender: str, to: str, texts: list[str]) -> None:
        """Several messages in a row."""
        for body in texts:
            self.send(sender, to, body, None)

    @rule(
        sender=names,
        to=names,
        body=st.sampled_from(["one", "two"]),
        key=st.sampled_from(["k1", "k2"]),
    )
    def send_with_a_key(self, sender: str, to: str, body: str, key: str) -> None:
        """A message that may have been sent before."""
        self.send(sender, to, body, key)

    def send(self, sender: str, to: str, body: str, key: str | None) -> None:
        """A message is stored once, or refused because the mailbox is full."""
        box = self.model.find(sender)
        present = box.name if box is not None else sender
        first = self.model.keyed(present, key, self.now) if key is not None else None
        is_repeat = first is not None and self.model.is_repeat(first, to, body)
        target = self.model.find(to)
        is_full = target is not None and self.model.pending(target) >= LIMIT
        try:
            receipt = self.commit(
                lambda transaction: transaction.mail.send(
                    sender, to, body, self.now, key=key, max_pending=LIMIT
                )
            )
        except QuotaFull:
            assert is_full
            assert first is None
            return
        except KeyReused:
            assert first is not None
            assert not is_repeat
            return
        box = self.model.use(sender, self.now)
        assert receipt.sender == box.name
        assert receipt.duplicate is is_repeat
        if first is not None:
            letter = first.letter
            assert (receipt.id, receipt.sent_at) == (letter.id, letter.sent_at)
            assert (receipt.recipient, receipt.pending) == (first.recipient, first.pending)
            return
        assert not is_full
        assert receipt.id > self.last_id
        recipient = self.model.address(to, self.now)
        assert receipt.known is (recipient.seen_at is not None)
        assert receipt.last_seen_at == recipient.seen_at
        assert receipt.recipient == recipient.name
        assert receipt.forwarded_from == (to if to != recipient.name else None)
        letter = Letter(receipt.id, box, recipient, body, self.now)
        self.model.letters.append(letter)
        assert receipt.pending == len(self.model.of(recipient, WAITING))
        self.last_id = receipt.id
        if key is not None:
            keyed = Keyed(letter, to, receipt.recipient, receipt.pending)
            self.model.keys[sender, key] = self.model.keys[box.name, key] = keyed

    @rule(name=names, limit=st.integers(1, 4), lease=st.none() | seconds)
    def take(self, name: str, limit: int, lease: int | None) -> None:
        """What a receiver usually wants."""
        self.claim(name, limit, lease, 10**6, None, True, False)

    @rule(
        name=names,
        lease=st.none() | seconds,
        max_bytes=st.sampled_from([1, 20, 10**6]),
        max_characters=st.none() | st.sampled_from([0, 210, 430]),
        at_least_one=st.booleans(),
        present_name_only=st.booleans(),
    )
    def take_within_limits(
        self,
        name: str,
        lease: int | None,
        max_bytes: int,
        max_characters: int | None,
        at_least_one: bool,
        present_name_only: bool,
    ) -> None:
        """What a receiver with little room wants."""
        self.claim(name, 9, lease, max_bytes, max_characters, at_least_one, present_name_only)

    def claim(
        self,
        name: str,
        limit: int,
        lease: int | None,
        max_bytes: int,
        max_characters: int | None,
        at_least_one: bool,
        present_name_only: bool,
    ) -> None:
        """The oldest waiting messages, as many whole ones as the limits allow."""
        found = self.model.find(name)
        until = None if lease is None else self.now + lease * 1000
        renamed_to = claim = None
        try:
            claim = self.commit(
                lambda transaction: transaction.leases.claim(
                    name,
                    self.now,
                    limit=limit,
                    max_bytes=max_bytes,
                    lease_until=until,
                    max_characters=max_characters,
                    at_least_one=at_least_one,
                    present_name_only=present_name_only,
                )
            )
        except Renamed as error:
            renamed_to = error.to
        if present_name_only and found is not None and found.name != name:
            assert renamed_to == found.name
            return
        assert renamed_to is None
        assert claim is not None
        box = self.model.use(name, self.now)
        assert claim.mailbox == box.name
        expected: list[Letter] = []
        size = characters = 0
        for letter in self.model.of(box, WAITING)[:limit]:
            size += len(letter.body.encode())
            characters += len(letter.body) + FRAME_CHARACTERS
            fits = size <= max_bytes and (max_characters is None or characters <= max_characters)
            if not fits and not (at_least_one and not expected):
                break
            expected.append(letter)
        assert [delivery.id for delivery in claim.deliveries] == [x.id for x in expected]
        for letter, delivery in zip(expected, claim.deliveries, strict=True):
            letter.state, letter.token, letter.until = LEASED, delivery.lease, until
            letter.attempts += 1
            assert delivery.body == letter.body
            assert delivery.sender == letter.sender.name
            assert delivery.sent_at == letter.sent_at
            assert delivery.attempts == letter.attempts
        assert claim.remaining == len(self.model.of(box, WAITING))
        self.issued += [delivery.lease for delivery in claim.deliveries]

    def answers(self, data: st.DataObject) -> tuple[list[str], str | None]:
        """Choose tokens to answer for, most of them live, and who does it."""
        live = [letter.token for letter in self.model.letters if letter.state == LEASED]
        pool = [*live, *live, *self.issued, "1-never"]
        tokens = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
        first = self.model.by_token(tokens[0]) if tokens else None
        owner = st.just(first.recipient.name) if first is not None else st.none()
        return tokens, data.draw(st.none() | owner | names)

    def reached(self, token: str, holder: str | None, *states: str) -> Letter | None:
        """Return the letter that a token reaches for this holder."""
        letter = self.model.by_token(token)
        if letter is None or letter.state not in states:
            return None
        if holder is not None and letter.recipient is not self.model.find(holder):
            return None
        return letter

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        """Live leases, and those that delivered the message before, are done."""
        tokens, holder = self.answers(data)
        outcome = self.commit(
            lambda transaction: transaction.leases.settle(tokens, self.now, holder)
        )
        done, lost = [], []
        for token in tokens:
            letter = self.reached(token, holder, LEASED, DELIVERED)
            (lost if letter is None else done).append(token)
            if letter is not None:
                letter.state, letter.until = DELIVERED, None
        assert (outcome.done, outcome.lost) == (done, lost)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Live leases go back to their places; their mailboxes are named."""
        tokens, holder = self.answers(data)
        outcome, mailboxes = self.commit(
            lambda transaction: transaction.leases.release(tokens, holder)
        )
        done, lost, boxes = [], [], set()
        for token in tokens:
            letter = self.reached(token, holder, LEASED)
            (lost if letter is None else done).append(token)
            if letter is not None:
                self.model.put_back(letter)
                boxes.add(letter.recipient.name)
        assert (outcome.done, outcome.lost) == (done, lost)
        assert set(mailboxes) == boxes

    @rule(data=st.data(), more=seconds)
    def extend(self, data: st.DataObject, more: int) -> None:
        """Live explicit leases get a new end."""
        tokens, holder = self.answers(data)
        until = self.now + more * 1000
        outcome = self.commit(lambda transaction: transaction.leases.extend(tokens, until, holder))
        done, lost = [], []
        for token in tokens:
            letter = self.reached(token, holder, LEASED)
            is_explicit = letter is not None and letter.until is not None
            (done if is_explicit else lost).append(token)
            if letter is not None and is_explicit:
                letter.until = until
        assert (outcome.done, outcome.lost) == (done, lost)

    @rule(current=names, to=names)
    def rename(self, current: str, to: str) -> None:
        """A name is given up for another that is free, or was one's own."""
        box, owner = self.model.find(current), self.model.find(to)
        try:
            renamed = self.commit(
                lambda transaction: transaction.mailboxes.rename(current, to, self.now)
            )
        except BadRequest:
            assert (box.name if box else current) == to
            return
        except TargetExists:
            assert owner is not None
            assert owner is not box
            return
        assert owner is None or owner is box
        box = self.model.use(current, self.now)
        assert renamed.old == box.name
        assert renamed.transferred == self.model.pending(box)
        self.model.rename(box, to, self.now)

    @rule(name=names)
    def delete(self, name: str) -> None:
        """Only what has nothing pending in either direction goes."""
        deleted = self.commit(lambda transaction: transaction.mailboxes.delete(name))
        box = self.model.find(name)
        assert deleted is (box is not None and self.model.delete(box))

    @rule(seen=st.dictionaries(names, st.integers(-10, 0), max_size=3))
    def mark_seen(self, seen: dict[str, int]) -> None:
        """Sights are written down by any name; an older one changes nothing."""
        sights = {name: self.now + ago * 60_000 for name, ago in seen.items()}
        self.commit(lambda transaction: transaction.mailboxes.mark_seen(sights))
        for name, at in sights.items():
            box = self.model.find(name)
            if box is not None:
                box.seen_at = max(box.seen_at or 0, at)

    # What time and fate do.

    @rule(passed=st.sampled_from([1, 1000, 29_000, 100_000]))
    def time_passes(self, passed: int) -> None:
        """The clock goes on."""
        self.now += passed

    @rule()
    def a_day_passes(self) -> None:
        """The keys of before count no more."""
        self.now += KEY_MILLISECONDS

    @rule()
    def time_passes_until_the_next_end(self) -> None:
        """The clock goes to the very moment at which a lease runs out."""
        self.now = max(self.now, self.transaction.leases.next_expiry() or 0)

    @rule()
    def expire(self) -> None:
        """What has run out goes back; the next end is known."""
        mailboxes = self.commit(lambda transaction: transaction.leases.expire(self.now))
        assert set(mailboxes) == self.model.expire(self.now)
        ends = [x.until for x in self.model.letters if x.state == LEASED and x.until is not None]
        assert self.commit(lambda transaction: transaction.leases.next_expiry()) == min(
            ends, default=None
        )

    @rule()
    def restart(self) -> None:
        """The daemon dies and comes back: only leases bound to a connection end."""
        self.connection.close()
        self.open()
        bound = self.commit(lambda transaction: transaction.leases.bound_tokens())
        held = [x for x in self.model.letters if x.state == LEASED and x.until is None]
        assert bound == {letter.token for letter in held}
        self.commit(lambda transaction: transaction.leases.release(bound))
        for letter in held:
            self.model.put_back(letter)

    @rule(sender=names, to=names, body=bodies)
    def die_before_the_commit(self, sender: str, to: str, body: str) -> None:
        """What was not committed never was."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.transaction.mail.send(sender, to, body, self.now)
        self.transaction.leases.claim(to, self.now, limit=9, max_bytes=10**6)
        self.connection.execute("ROLLBACK")
        self.restart()

    @rule(idle=st.sampled_from([60_000, 3_600_000]), spare=st.lists(names, max_size=2))
    def sweep(self, idle: int, spare: list[str]) -> None:
        """Idle mailboxes go, unless something pends or they are spared."""
        since = self.now - idle
        gone = self.commit(lambda transaction: transaction.mailboxes.delete_idle(since, spare))
        stale: list[Box] = []
        for box in list(self.model.boxes):
            used = box.seen_at if box.seen_at is not None else box.created_at
            if used < since and box.name not in spare and self.model.delete(box):
                stale.append(box)
        assert set(gone) == {box.name for box in stale}

    @rule()
    def forget_keys(self) -> None:
        """Keys that count no more are removed."""
        before = self.now - KEY_MILLISECONDS
        count = self.commit(lambda transaction: transaction.mail.forget_keys(before))
        old = [name for name, x in self.model.keys.items() if x.letter.sent_at < before]
        assert count == len(old)
        for name in old:
            del self.model.keys[name]

    # What must always be true.

    @invariant()
    def messages_agree(self) -> None:
        """Every message is in the state that it should be in."""
        states = {WAITING: 0, LEASED: 1, DELIVERED: 2}
        rows = self.connection.execute(
            "SELECT id, state, attempts, lease_until FROM message ORDER BY id"
        ).fetchall()
        assert rows == [(x.id, states[x.state], x.attempts, x.until) for x in self.model.letters]

    @invariant()
    def counts_agree(self) -> None:
        """The counts that triggers keep are those that counting yields."""
        kept = self.connection.execute(
            "SELECT recipient_id, sender_id, waiting, leased FROM backlog"
            " WHERE waiting <> 0 OR leased <> 0 ORDER BY 1, 2"
        ).fetchall()
        counted = self.connection.execute(
            "SELECT recipient_id, sender_id, sum(state = 0), sum(state = 1) FROM message"
            " WHERE state < 2 GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        assert kept == counted

    @invariant()
    def keys_agree(self) -> None:
        """Each key leads to the message that it was sent with."""
        rows = self.connection.execute("SELECT sender, key, message_id FROM idempotency_key")
        kept = {(sender, key): number for sender, key, number in rows}
        assert kept == {name: keyed.letter.id for name, keyed in self.model.keys.items()}

    @invariant()
    def names_agree(self) -> None:
        """Present and former names lead to the right mailboxes, and to no others."""
        rows = self.connection.execute("SELECT name, last_seen_at FROM mailbox").fetchall()
        assert dict(rows) == {box.name: box.seen_at for box in self.model.boxes}
        aliases = self.connection.execute(
            "SELECT alias.name, mailbox.name FROM alias JOIN mailbox ON mailbox_id = id"
        ).fetchall()
        assert dict(aliases) == {old: box.name for box in self.model.boxes for old in box.former}
        assert self.connection.execute("SELECT count(*) FROM alias").get == len(aliases)

    @invariant()
    def peeks_agree(self) -> None:
        """A peek counts what waits, and changes nothing."""
        for name in ["ann", "bob", "nobody"]:
            backlog = self.transaction.mail.peek(name)
            box = self.model.find(name)
            waiting = self.model.of(box, WAITING) if box else []
            assert backlog.pending == len(waiting)
            assert backlog.oldest_at == (waiting[0].sent_at if waiting else None)

    @precondition(lambda self: self.model.boxes)
    @invariant()
    def lists_agree(self) -> None:
        """The list shows the recent, the caller, and who wrote to the caller."""
        caller, since = "bob", self.now - 60_000
        own = self.model.find(caller)
        expected = {}
        for box in self.model.boxes:
            used = box.seen_at if box.seen_at is not None else box.created_at
            for_caller = [x for x in self.model.of(own, WAITING) if x.sender is box] if own else []
            if used >= since or box is own or for_caller:
                waiting = self.model.of(box, WAITING)
                expected[box.name] = (len(waiting), len(for_caller))
        rows = self.transaction.mailboxes.listings(caller, since)
        assert {row.name: (row.pending, row.pending_for_you) for row in rows} == expected


TestMail = Mail.TestCase
TestMail.settings = settings(stateful_step_count=100)
