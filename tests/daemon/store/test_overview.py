"""What the person at this machine may ask for: everybody's mail, in pages, on both engines."""

from collections.abc import Callable

import pytest

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryPage, HistoryQuery
from support.stores import Store

NOW = 1_000_000
DAY = 24 * 3600 * 1000


def send(
    transaction: Transaction,
    sender: str,
    to: str,
    body: str,
    *,
    at: int = NOW,
    thread: int | None = None,
) -> int:
    """Store a message; return its number."""
    return transaction.mail.send(Draft(sender, to, body), at, thread=thread).id


def index_all(transaction: Transaction) -> None:
    """Index what was sent."""
    while transaction.history.index():
        pass


def numbers(page: HistoryPage) -> list[int]:
    """Return the numbers of its messages."""
    return [entry.status.id for entry in page.entries]


class TestMailboxes:
    def test_come_in_pages_those_used_last_first(self, transaction: Transaction) -> None:
        for number in range(5):
            transaction.mailboxes.register(f"box-{number}", NOW + number)
        send(transaction, "box-0", "box-3", "x", at=NOW)
        first, count = transaction.overview.mailboxes(0, limit=2)
        second, _ = transaction.overview.mailboxes(0, limit=2, offset=2)
        assert [row.name for row in (*first, *second)] == ["box-4", "box-3", "box-2", "box-1"]
        assert [row.pending for row in first] == [0, 1]
        assert count == 5

    def test_leave_out_those_not_used_for_long_but_for_the_watched(
        self, transaction: Transaction
    ) -> None:
        for number in range(3):
            transaction.mailboxes.register(f"box-{number}", NOW + number)
        found, count = transaction.overview.mailboxes(NOW + 2, ["box-0"], limit=9)
        assert ([row.name for row in found], count) == (["box-2", "box-0"], 2)

    @pytest.mark.parametrize("part", ["OX-1", "ox-1", "1"])
    def test_are_found_by_a_part_of_their_names(self, transaction: Transaction, part: str) -> None:
        for name in ("Box-1", "box-2"):
            transaction.mailboxes.register(name, NOW)
        found, count = transaction.overview.mailboxes(0, containing=part, limit=9)
        assert "Box-1" in [row.name for row in found]
        assert "box-2" not in [row.name for row in found]
        assert count == len(found)

    def test_signs_of_patterns_mean_themselves(self, transaction: Transaction) -> None:
        for name in ("a_b", "axb"):
            transaction.mailboxes.register(name, NOW)
        found, _ = transaction.overview.mailboxes(0, containing="a_b", limit=9)
        assert [row.name for row in found] == ["a_b"]

    def test_one_is_found_by_its_name(self, transaction: Transaction) -> None:
        send(transaction, "a", "b", "x")
        found = transaction.overview.mailbox("b")
        assert found is not None
        assert (found.name, found.pending, found.last_seen_at) == ("b", 1, None)
        assert transaction.overview.mailbox("nobody") is None


class TestRecent:
    def test_has_the_newest_of_all_mailboxes_with_the_beginnings_of_texts(
        self, transaction: Transaction
    ) -> None:
        sent = [send(transaction, f"a{n}", f"b{n}", f"text {n}") for n in range(4)]
        page = transaction.overview.recent(limit=3, excerpt=4)
        assert numbers(page) == sent[:0:-1]
        assert page.has_more
        assert {(entry.body, entry.length) for entry in page.entries} == {("text", 6)}

    def test_between_two_numbers(self, transaction: Transaction) -> None:
        sent = [send(transaction, "a", "b", "x") for _ in range(5)]
        page = transaction.overview.recent(after=sent[0], before=sent[4], limit=9, excerpt=9)
        assert (numbers(page), page.has_more) == (sent[3:0:-1], False)

    def test_of_a_thread(self, transaction: Transaction) -> None:
        """With its first message, and between two numbers."""
        first = send(transaction, "a", "b", "first")
        send(transaction, "a", "b", "another matter")
        replies = [send(transaction, "b", "a", "x", thread=first) for _ in range(3)]
        page = transaction.overview.recent(thread=first, limit=9, excerpt=9)
        assert numbers(page) == [*replies[::-1], first]
        newest = transaction.overview.recent(thread=first, limit=2, excerpt=9)
        assert (numbers(newest), newest.has_more) == (replies[:0:-1], True)
        older = transaction.overview.recent(thread=first, before=replies[1], limit=9, excerpt=9)
        assert numbers(older) == [replies[0], first]

    def test_to_a_group(self, transaction: Transaction) -> None:
        sent = [send(transaction, "a", name, "x") for name in ("b", "c", "d")]
        transaction.groups.mark("@some", sent[:2])
        page = transaction.overview.recent(group="@some", limit=9, excerpt=9)
        assert numbers(page) == sent[1::-1]


class TestSearch:
    def test_finds_words_in_all_mail_newest_first(self, transaction: Transaction) -> None:
        """Each message once, also one to oneself."""
        sent = [send(transaction, f"a{n}", f"b{n}", f"the platypus number {n}") for n in range(3)]
        sent.append(send(transaction, "a", "a", "Platypus to myself"))
        send(transaction, "a", "b", "something else")
        index_all(transaction)
        page = transaction.overview.search(HistoryQuery(words="platypus", limit=3), 12)
        assert (numbers(page), page.has_more) == (sent[:0:-1], True)
        assert page.entries[0].body == "Platypus to "
        rest = transaction.overview.search(HistoryQuery(words="platypus", before=sent[1]), 12)
        assert (numbers(rest), rest.has_more) == ([sent[0]], False)

    def test_names_of_mailboxes_are_no_words(self, transaction: Transaction) -> None:
        send(transaction, "platypus", "b", "x")
        index_all(transaction)
        assert not transaction.overview.search(HistoryQuery(words="platypus"), 9).entries

    def test_since_a_time(self, transaction: Transaction) -> None:
        send(transaction, "a", "b", "platypus", at=NOW)
        new = send(transaction, "a", "b", "platypus", at=NOW + DAY)
        index_all(transaction)
        page = transaction.overview.search(HistoryQuery(words="platypus", since=NOW + 1), 9)
        assert numbers(page) == [new]

    def test_phrases_stand_together(self, transaction: Transaction) -> None:
        send(transaction, "a", "b", "one and two")
        both = send(transaction, "a", "b", "and one two")
        index_all(transaction)
        page = transaction.overview.search(HistoryQuery(words='"one two"'), 9)
        assert numbers(page) == [both]

    @pytest.mark.parametrize("words", ['"', "...", '""'])
    def test_what_has_no_word_finds_nothing(self, transaction: Transaction, words: str) -> None:
        send(transaction, "a", "b", "x . y")
        index_all(transaction)
        assert not transaction.overview.search(HistoryQuery(words=words), 9).entries

    def test_says_that_there_may_be_more_before_all_is_indexed(
        self, transaction: Transaction
    ) -> None:
        for _ in range(250):
            send(transaction, "a", "b", "platypus")
        transaction.history.index()
        page = transaction.overview.search(HistoryQuery(words="platypus", limit=300), 9)
        assert 0 < len(page.entries) < 250
        assert page.has_more

    def test_forgotten_texts_are_not_found(self, transaction: Transaction) -> None:
        """Neither here nor in the history of a mailbox; the facts about the message stay."""
        number = send(transaction, "a", "b", "platypus")
        kept = send(transaction, "a", "b", "platypus", at=NOW + DAY)
        waiting = send(transaction, "a", "c", "platypus waits")
        claim = transaction.leases.claim("b", NOW, limit=9, max_bytes=9999)
        transaction.leases.settle([delivery.lease for delivery in claim.deliveries], NOW)
        index_all(transaction)
        position: int | None = 0
        while position is not None:
            position = transaction.history.forget_texts(position, NOW + 1)
        page = transaction.overview.search(HistoryQuery(words="platypus"), 99)
        assert numbers(page) == [waiting, kept]
        own = transaction.history.history("b", HistoryQuery(words="platypus"))
        assert numbers(own) == [kept]
        (entry,) = transaction.overview.recent(after=number - 1, limit=9, excerpt=9).entries[-1:]
        assert (entry.status.id, entry.status.state, entry.body) == (number, "delivered", "")

    def test_texts_are_forgotten_a_part_at_a_time(self, transaction: Transaction) -> None:
        """So everybody else's work goes on in between."""
        for _ in range(250):
            send(transaction, "a", "b", "x")
        claim = transaction.leases.claim("b", NOW, limit=250, max_bytes=9999)
        transaction.leases.settle([delivery.lease for delivery in claim.deliveries], NOW)
        index_all(transaction)
        steps = []
        position: int | None = 0
        while (position := transaction.history.forget_texts(position, NOW + 1)) is not None:
            steps.append(position)
        assert steps == [100, 200, 250]
        page = transaction.overview.recent(limit=300, excerpt=9)
        assert {entry.body for entry in page.entries} == {""}


def test_a_claim_of_a_thread_leaves_the_rest(transaction: Transaction) -> None:
    first = send(transaction, "a", "b", "first")
    other = send(transaction, "a", "b", "another matter")
    reply = send(transaction, "a", "b", "second", thread=first)
    claim = transaction.leases.claim("b", NOW, limit=9, max_bytes=999, thread=first)
    assert [delivery.id for delivery in claim.deliveries] == [first, reply]
    rest = transaction.leases.claim("b", NOW, limit=9, max_bytes=999)
    assert [delivery.id for delivery in rest.deliveries] == [other]


class TestHeld:
    def test_are_shown_newest_first(self, transaction: Transaction) -> None:
        sent = [send(transaction, "a", "b", f"thanks {n}") for n in range(4)]
        for number in sent[1:]:
            transaction.exchanges.hold(number)
        page = transaction.overview.held(limit=2, excerpt=6)
        assert (numbers(page), page.has_more) == (sent[:1:-1], True)
        assert page.entries[0].body == "thanks"

    def test_those_of_one_pair_are_released_alone(self, transaction: Transaction) -> None:
        """In both directions; for the others everything counts as before."""
        pairs = (("a", "b"), ("b", "a"), ("c", "b"))
        sent = [send(transaction, *pair, "thanks") for pair in pairs]
        for number in sent:
            transaction.exchanges.note(number)
            transaction.exchanges.hold(number)
        released, _ = transaction.exchanges.release(NOW, "a", "b")
        assert released == sent[:2]
        assert numbers(transaction.overview.held(limit=9, excerpt=9)) == [sent[2]]
        assert transaction.exchanges.lately(sent[2], 0).messages
        assert not transaction.exchanges.lately(sent[0], 0).messages

    def test_nobody_is_released_for_a_name_that_is_not_there(
        self, open_store: Callable[..., Store]
    ) -> None:
        transaction = open_store().transaction
        number = send(transaction, "a", "b", "thanks")
        transaction.exchanges.hold(number)
        assert transaction.exchanges.release(NOW, "a", "nobody") == ([], [])
        assert transaction.exchanges.is_held(number)
