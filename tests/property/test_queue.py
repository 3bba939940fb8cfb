"""The store against a simple model, in random sequences of everything that can happen to mail."""

import itertools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.conversation import parking, timing
from claude_mailbox.daemon.delivery.conversation.askers import Askers
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.sending.groups import Groups
from claude_mailbox.daemon.delivery.sending.storing import Sending
from claude_mailbox.errors import BadRequest, QuotaFull, Renamed
from claude_mailbox.model.conversations import Envelope
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryQuery, MessageStatus
from claude_mailbox.model.mail import FRAME_CHARACTERS, KEY_MILLISECONDS
from claude_mailbox.refusals import KeyReused, NotFound, TargetExists, Unanswerable
from property.checked_store import CheckedStore
from property.queue_model import (
    DELAYED,
    DELETED,
    DELIVERED,
    LEASED,
    PARKED,
    WAITING,
    Keyed,
    Mailbox,
    Message,
)
from support.postgres import PostgresServer
from support.stores import PostgresStore, SqliteStore, Store

names = st.sampled_from(["ann", "bob", "邮箱", "x y"])
bodies = st.text("aé🙂\n\x00", min_size=1, max_size=12)
seconds = st.sampled_from([1, 30, 100])
spans = st.sampled_from([1.0, 30.0, 100.0])
LIMIT = 5
# No step sends to a group.
SENDING = Sending(
    Config(max_pending_per_mailbox=LIMIT), cast("Groups", None), lambda name: (None, False)
)


def has_words(body: str, words: str) -> bool:
    """Whether a text has all of these words, accents aside; a smiley counts as a letter."""
    text = body.lower().replace("é", "e")
    tokens = re.findall("[a-z🙂]+", text)
    wanted = re.findall("[a-z🙂]+", words.lower().replace("é", "e"))
    if words.startswith('"'):
        return any(tokens[i : i + len(wanted)] == wanted for i in range(len(tokens)))
    return bool(wanted) and all(word in tokens for word in wanted)


class Mail(CheckedStore):
    """Runs every step on the store and on the model, and compares."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        super().__init__(open_store)
        self.last_id = 0
        self.issued: list[str] = []

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
        mailbox = self.model.find(sender)
        present = mailbox.name if mailbox is not None else sender
        first = self.model.keyed(present, key, self.now) if key is not None else None
        is_repeat = first is not None and self.model.is_repeat(first, to, body)
        target = self.model.find(to)
        is_full = target is not None and self.model.pending(target) >= LIMIT
        try:
            receipt = self.commit(
                lambda transaction: transaction.mail.send(
                    Draft(sender, to, body, key), self.now, max_pending=LIMIT
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
        mailbox = self.model.use(sender, self.now)
        assert receipt.sender == mailbox.name
        assert receipt.duplicate is is_repeat
        if first is not None:
            message = first.message
            assert (receipt.id, receipt.sent_at) == (message.id, message.sent_at)
            assert (receipt.recipient, receipt.pending) == (first.recipient, first.pending)
            return
        assert not is_full
        assert receipt.id > self.last_id
        recipient = self.model.address(to, self.now)
        assert receipt.known is (recipient.seen_at is not None)
        assert receipt.last_seen_at == recipient.seen_at
        assert receipt.recipient == recipient.name
        assert receipt.forwarded_from == (to if to != recipient.name else None)
        message = Message(
            receipt.id, mailbox, recipient, body, self.now, names=(mailbox.name, recipient.name)
        )
        self.model.messages.append(message)
        assert receipt.pending == len(self.model.of(recipient, WAITING))
        self.last_id = receipt.id
        if key is not None:
            keyed = Keyed(message, to, receipt.recipient, receipt.pending)
            self.model.keys[sender, key] = self.model.keys[mailbox.name, key] = keyed

    @rule(
        sender=names,
        to=names,
        data=st.data(),
        urgency=st.sampled_from(["low", "normal", "high"]),
        is_final=st.booleans(),
        ask=st.none() | spans,
        ttl=st.none() | spans,
        delay=st.none() | spans,
    )
    def converse(
        self,
        sender: str,
        to: str,
        data: st.DataObject,
        urgency: str,
        is_final: bool,
        ask: float | None,
        ttl: float | None,
        delay: float | None,
    ) -> None:
        """A message with more than a text: perhaps a reply, or a question."""
        number = data.draw(st.none() | st.sampled_from([x.id for x in self.model.messages] or [1]))
        if number is not None:
            to = data.draw(st.just("") | st.just(to))
        draft = Draft(sender, to, "a", None, number, is_final, ask, urgency, ttl, delay)
        original = next((x for x in self.model.messages if x.id == number), None)
        own = self.model.owner(sender)
        is_allowed = original is not None and (
            original.sender is own or (original.recipient is own and not original.is_hidden)
        )
        if original is not None and not to:
            is_sender = original.sender is own
            other = original.recipient if is_sender else original.sender
            to = self.model.last_name(other, original.names[is_sender])
        target = self.model.find(to)
        is_full = target is not None and self.model.pending(target) >= LIMIT
        try:
            receipt = self.commit(
                lambda transaction: SENDING.store(Change(transaction, self.now, Askers()), draft)[0]
            )
        except NotFound:
            assert number is not None
            assert not is_allowed
            return
        except Unanswerable:
            assert original is not None
            assert original.notice
            return
        except QuotaFull:
            assert is_full
            return
        assert number is None or is_allowed
        mailbox = self.model.use(sender, self.now)
        recipient = self.model.address(to, self.now)
        message = Message(
            receipt.id,
            mailbox,
            recipient,
            "a",
            self.now,
            urgency=urgency,
            state=WAITING if delay is None else DELAYED,
            visible_at=self.after(delay),
            expires_at=self.after(ttl),
            answer_by=self.after(ask),
            thread=None if original is None else original.thread or original.id,
            original=original,
            is_final=is_final,
            names=(mailbox.name, recipient.name),
        )
        self.model.messages.append(message)
        self.last_id = receipt.id
        if delay is None:
            self.model.arrive(message)

    def after(self, span: float | None) -> int | None:
        """Return when a span from now is over."""
        return None if span is None else self.now + round(span * 1000)

    @rule()
    def let_happen_what_is_due(self) -> None:
        """Delays, times to live and deadlines; the next one is known."""
        self.commit(lambda transaction: timing.advance(Change(transaction, self.now, Askers())))
        self.model.advance(self.now)
        self.read_notices()
        due = [x.visible_at for x in self.model.messages if x.state == DELAYED]
        due += [x.expires_at for x in self.model.messages if x.state in (WAITING, DELAYED)]
        due += [x.answer_by for x in self.model.messages if x.is_open]
        if any(
            x.state == LEASED and x.expires_at is not None and x.expires_at <= self.now
            for x in self.model.messages
        ):
            due.append(self.now + 5000)
        assert self.commit(lambda transaction: transaction.conversation.next_due(self.now)) == min(
            (time for time in due if time is not None), default=None
        )

    def read_notices(self) -> None:
        """Take over the texts of new notices."""
        for message in self.model.messages:
            if message.notice is not None and not message.body:
                text = self.store.query(f"SELECT text FROM body WHERE message_id = {message.id}")[
                    0
                ][0]
                message.body = text.decode() if isinstance(text, bytes) else text
            self.last_id = max(self.last_id, message.id)

    @rule(data=st.data(), what=st.sampled_from(["park", "retry", "drop"]))
    def park(self, data: st.DataObject, what: str) -> None:
        """A message leaves the line, comes back, or is deleted."""
        waiting = WAITING if what == "park" else PARKED
        chosen = [x for x in self.model.messages if x.state == waiting]
        if not chosen:
            return
        message = data.draw(st.sampled_from(chosen))
        if what == "park":
            self.commit(
                lambda transaction: parking.park(
                    Change(transaction, self.now, Askers()), message.id
                )
            )
            message.state = PARKED
            self.model.give_back(message, "parked", self.now)
            self.read_notices()
        elif what == "drop":
            assert self.commit(lambda transaction: transaction.conversation.drop([message.id])) == [
                message.id
            ]
            message.state = DELETED
        else:
            name = self.model.last_name(message.recipient, message.names[1])
            self.commit(lambda transaction: transaction.conversation.retry([message.id], self.now))
            message.recipient = self.model.address(name, self.now)
            message.state, message.attempts, message.expires_at = WAITING, 0, None

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
                    by="watch" if present_name_only else "check",
                )
            )
        except Renamed as error:
            renamed_to = error.to
        if present_name_only and found is not None and found.name != name:
            assert renamed_to == found.name
            return
        assert renamed_to is None
        assert claim is not None
        mailbox = self.model.use(name, self.now)
        assert claim.mailbox == mailbox.name
        expected: list[Message] = []
        size = characters = 0
        for message in self.model.line(mailbox, self.now)[:limit]:
            size += len(message.body.encode())
            characters += len(message.body) + FRAME_CHARACTERS
            fits = size <= max_bytes and (max_characters is None or characters <= max_characters)
            if not fits and not (at_least_one and not expected):
                break
            expected.append(message)
        assert [delivery.id for delivery in claim.deliveries] == [x.id for x in expected]
        for message, delivery in zip(expected, claim.deliveries, strict=True):
            message.state, message.token, message.until = LEASED, delivery.lease, until
            message.attempts += 1
            message.by = "watch" if present_name_only else "check"
            assert delivery.body == message.body
            assert delivery.sender == message.sender.name
            self.check_envelope(message, delivery.envelope)
            assert delivery.sent_at == message.sent_at
            assert delivery.attempts == message.attempts
        assert claim.remaining == len(self.model.of(mailbox, WAITING))
        self.issued += [delivery.lease for delivery in claim.deliveries]

    def answers(self, data: st.DataObject) -> tuple[list[str], str | None]:
        """Choose tokens to answer for, most of them live, and who does it."""
        live = [message.token for message in self.model.messages if message.state == LEASED]
        pool = [*live, *live, *self.issued, "1-never"]
        tokens = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
        first = self.model.by_token(tokens[0]) if tokens else None
        owner = st.just(first.recipient.name) if first is not None else st.none()
        return tokens, data.draw(st.none() | owner | names)

    def reached(self, token: str, owner: str | None, *states: str) -> Message | None:
        """Return the message that a token reaches for this owner."""
        message = self.model.by_token(token)
        if message is None or message.state not in states:
            return None
        if owner is not None and message.recipient is not self.model.find(owner):
            return None
        return message

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        """Live leases, and those that delivered the message before, are done."""
        tokens, owner = self.answers(data)
        outcome = self.commit(
            lambda transaction: transaction.leases.settle(tokens, self.now, owner)
        )
        done, lost = [], []
        for token in tokens:
            message = self.reached(token, owner, LEASED, DELIVERED)
            (lost if message is None else done).append(token)
            if message is not None:
                if message.state == LEASED:
                    message.delivered_at = self.now
                message.state, message.until = DELIVERED, None
        assert (outcome.done, outcome.lost) == (done, lost)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Live leases go back to their places; their mailboxes are named."""
        tokens, owner = self.answers(data)
        outcome, mailboxes = self.commit(
            lambda transaction: transaction.leases.release(tokens, owner)
        )
        done, lost, names = [], [], set()
        for token in tokens:
            message = self.reached(token, owner, LEASED)
            (lost if message is None else done).append(token)
            if message is not None:
                self.model.put_back(message)
                names.add(message.recipient.name)
        assert (outcome.done, outcome.lost) == (done, lost)
        assert set(mailboxes) == names

    @rule(data=st.data(), more=seconds)
    def extend(self, data: st.DataObject, more: int) -> None:
        """Live explicit leases get a new end."""
        tokens, owner = self.answers(data)
        until = self.now + more * 1000
        outcome = self.commit(lambda transaction: transaction.leases.extend(tokens, until, owner))
        done, lost = [], []
        for token in tokens:
            message = self.reached(token, owner, LEASED)
            is_explicit = message is not None and message.until is not None
            (done if is_explicit else lost).append(token)
            if message is not None and is_explicit:
                message.until = until
        assert (outcome.done, outcome.lost) == (done, lost)

    @rule(
        name=names,
        words=st.none() | st.sampled_from(["a", "É", "a é", "aa", '"a a"', "🙂"]),
        peer=st.none() | names,
        limit=st.integers(1, 5),
        room=st.sampled_from([0, 207, 500, 10**6]),
        ago=st.none() | st.integers(0, 50_000),
        data=st.data(),
    )
    def look_back(
        self,
        name: str,
        words: str | None,
        peer: str | None,
        limit: int,
        room: int,
        ago: int | None,
        data: st.DataObject,
    ) -> None:
        """The newest messages of a mailbox that are wanted, as many as fit; the first one cut."""
        numbers = [message.id for message in self.model.messages]
        before = data.draw(st.none() | st.sampled_from([*numbers, 10**9]))
        since = None if ago is None else self.now - ago
        query = HistoryQuery(
            words, peer, since=since, before=before, limit=limit, max_characters=room
        )
        while words is not None and self.commit(lambda transaction: transaction.history.index()):
            pass
        page = self.commit(lambda transaction: transaction.history.history(name, query))
        found = [
            message
            for message in self.model.history(name, peer)
            if (before is None or message.id < before)
            and (since is None or message.sent_at >= since)
            and (words is None or has_words(message.body, words))
        ]
        expected: list[Message] = []
        for message in found[:limit]:
            room -= len(message.body) + FRAME_CHARACTERS
            if room < 0 and expected:
                break
            expected.append(message)
        assert [entry.status.id for entry in page.entries] == [x.id for x in expected]
        assert page.has_more is (len(expected) < len(found))
        for message, entry in zip(expected, page.entries, strict=True):
            assert entry.length == len(message.body)
            assert message.body.startswith(entry.body)
            self.check_status(message, entry.status)
        whole = page.entries[1:] if query.max_characters < 10**6 else page.entries
        assert all(len(entry.body) == entry.length for entry in whole)

    @rule(name=names, data=st.data())
    def ask_for_a_receipt(self, name: str, data: st.DataObject) -> None:
        """Sender and receiver are told what became of a message, and nobody else."""
        numbers = {message.id: message for message in self.model.messages}
        number = data.draw(st.sampled_from([*numbers, 10**9]))
        status = self.commit(lambda transaction: transaction.history.status(number, name))
        message = numbers.get(number)
        if message is None or message not in self.model.history(name, None):
            assert status is None
        else:
            assert status is not None
            self.check_status(message, status)

    def check_status(self, message: Message, status: MessageStatus) -> None:
        """It is that of the message."""
        shown = WAITING if message.is_hidden else message.state
        assert (status.state, status.attempts) == (shown, message.attempts)
        assert status.delivered_at == message.delivered_at
        assert status.by == (message.by if message.state == DELIVERED else None)
        assert (status.outcome, status.replied_by) == (
            message.outcome,
            self.model.first_reply(message),
        )
        self.check_envelope(message, status.envelope)
        assert status.sent_at == message.sent_at
        for mailbox, shown in (
            (message.sender, status.sender),
            (message.recipient, status.recipient),
        ):
            assert mailbox not in self.model.mailboxes or shown == mailbox.name

    def check_envelope(self, message: Message, envelope: Envelope | None) -> None:
        """It has what the message has besides its text."""
        if message.thread is None and message.answer_by is None and message.urgency == "normal":
            assert envelope is None
            return
        assert envelope == Envelope(
            message.thread,
            message.original.id if message.original else None,
            message.is_final,
            # A quiet notice is not one of low urgency.
            "normal" if message.notice else message.urgency,
            message.answer_by,
            message.notice,
            group=None,
        )

    @rule()
    def index_some(self) -> None:
        """A part of what was sent."""
        self.commit(lambda transaction: transaction.history.index())

    @rule(current=names, to=names)
    def rename(self, current: str, to: str) -> None:
        """A name is given up for another that is free, or was one's own."""
        mailbox, owner = self.model.find(current), self.model.find(to)
        try:
            renamed = self.commit(
                lambda transaction: transaction.mailboxes.rename(current, to, self.now)
            )
        except NotFound:
            assert mailbox is None
            return
        except BadRequest:
            assert mailbox is not None
            assert mailbox.name == to
            return
        except TargetExists:
            assert owner is not None
            assert owner is not mailbox
            return
        assert owner is None or owner is mailbox
        mailbox = self.model.use(current, self.now)
        assert renamed.old == mailbox.name
        assert renamed.transferred == self.model.pending(mailbox)
        self.model.rename(mailbox, to, self.now)

    @rule(name=names)
    def delete(self, name: str) -> None:
        """Only what has nothing pending in either direction goes."""
        deleted = self.commit(lambda transaction: transaction.mailboxes.delete(name))
        mailbox = self.model.find(name)
        assert deleted is (mailbox is not None and self.model.delete(mailbox))

    @rule(seen=st.dictionaries(names, st.integers(-10, 0), max_size=3))
    def mark_seen(self, seen: dict[str, int]) -> None:
        """Sights are written down by any name; an older one changes nothing."""
        sights = {name: self.now + ago * 60_000 for name, ago in seen.items()}
        self.commit(lambda transaction: transaction.mailboxes.mark_seen(sights))
        for name, at in sights.items():
            mailbox = self.model.find(name)
            if mailbox is not None:
                mailbox.seen_at = max(mailbox.seen_at or 0, at)

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
        ends = [x.until for x in self.model.messages if x.state == LEASED and x.until is not None]
        assert self.commit(lambda transaction: transaction.leases.next_expiry()) == min(
            ends, default=None
        )

    @rule()
    def restart(self) -> None:
        """The daemon dies and comes back: only leases bound to a connection end."""
        self.store.close()
        self.store.open()
        bound = self.commit(lambda transaction: transaction.leases.bound_tokens())
        held = [x for x in self.model.messages if x.state == LEASED and x.until is None]
        assert bound == {message.token for message in held}
        self.commit(lambda transaction: transaction.leases.release(bound))
        for message in held:
            self.model.put_back(message)

    @rule(sender=names, to=names, body=bodies)
    def die_before_the_commit(self, sender: str, to: str, body: str) -> None:
        """What was not committed never was."""
        self.store.begin()
        self.transaction.mail.send(Draft(sender, to, body), self.now)
        self.transaction.leases.claim(to, self.now, limit=9, max_bytes=10**6)
        self.store.rollback()
        self.restart()

    @rule(idle=st.sampled_from([60_000, 3_600_000]), spare=st.lists(names, max_size=2))
    def sweep(self, idle: int, spare: list[str]) -> None:
        """Idle mailboxes go, unless something pends or they are spared."""
        since = self.now - idle
        gone = self.commit(lambda transaction: transaction.mailboxes.delete_idle(since, spare))
        stale: list[Mailbox] = []
        for mailbox in list(self.model.mailboxes):
            used = mailbox.seen_at if mailbox.seen_at is not None else mailbox.created_at
            if used < since and mailbox.name not in spare and self.model.delete(mailbox):
                stale.append(mailbox)
        assert set(gone) == {mailbox.name for mailbox in stale}

    @rule()
    def forget_keys(self) -> None:
        """Keys that count no more are removed."""
        before = self.now - KEY_MILLISECONDS
        count = self.commit(lambda transaction: transaction.mail.forget_keys(before))
        old = [name for name, x in self.model.keys.items() if x.message.sent_at < before]
        assert count == len(old)
        for name in old:
            del self.model.keys[name]


def test_on_sqlite() -> None:
    """In a file in memory, where the system has that."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        numbers = itertools.count()

        def open_store() -> Store:
            place = Path(folder, str(next(numbers)))
            place.mkdir()
            return SqliteStore(place)

        run_state_machine_as_test(
            lambda: Mail(open_store), settings=settings(stateful_step_count=100)
        )


def test_on_postgresql(postgres: PostgresServer) -> None:
    """Each step is many round trips, so there are fewer."""
    few = settings(max_examples=settings().max_examples // 6, stateful_step_count=50)
    run_state_machine_as_test(lambda: Mail(lambda: PostgresStore(postgres)), settings=few)
