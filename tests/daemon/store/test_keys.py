"""Idempotency keys: what is sent again with the same key is stored once, for a day."""

import pytest

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import QuotaFull
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import KEY_MILLISECONDS, Receipt
from claude_mailbox.refusals import KeyReused

NOW = 1_700_000_000_000


class Sends:
    """Sends with the key ``k``, at a time that the test sets."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.now = NOW

    def __call__(
        self, sender: str = "a", to: str = "b", body: str = "hello", **more: int
    ) -> Receipt:
        """Send a message."""
        return self.transaction.mail.send(Draft(sender, to, body, "k"), self.now, **more)

    def register(self, name: str) -> None:
        """Make a mailbox."""
        self.transaction.mailboxes.register(name, self.now)

    def rename(self, current: str, to: str) -> None:
        """Rename a mailbox."""
        self.transaction.mailboxes.rename(current, to, self.now)

    def delete(self, name: str) -> None:
        """Take all mail that pends to or from a mailbox, and delete it."""
        for recipient in ("a", "b", name):
            claim = self.transaction.leases.claim(recipient, self.now, limit=99, max_bytes=10**6)
            self.transaction.leases.settle([each.lease for each in claim.deliveries], self.now)
        assert self.transaction.mailboxes.delete(name)

    def count(self) -> int:
        """Return how many messages wait for 'b'."""
        return self.transaction.mail.peek("b").pending


@pytest.fixture
def send(transaction: Transaction) -> Sends:
    """Sends with the key ``k``."""
    return Sends(transaction)


class TestRepeat:
    def test_gives_the_first_receipt(self, send: Sends) -> None:
        first = send()
        send.now += 5000
        again = send()
        assert again.duplicate
        assert not first.duplicate
        for field in first.__slots__:
            if field != "duplicate":
                assert getattr(again, field) == getattr(first, field), field
        assert send.count() == 1

    def test_is_possible_when_the_mailbox_is_full(self, send: Sends) -> None:
        first = send()
        assert send(max_pending=1).id == first.id
        with pytest.raises(QuotaFull):
            send(sender="other", max_pending=1)

    def test_with_another_text_is_refused(self, send: Sends) -> None:
        send()
        with pytest.raises(
            KeyReused, match="another message: send this one with a new key"
        ) as caught:
            send(body="other")
        assert (caught.value.status, caught.value.code) == (409, "key-reused")
        assert send.count() == 1

    def test_with_another_receiver_is_refused(self, send: Sends) -> None:
        send()
        with pytest.raises(KeyReused):
            send(to="c")

    @pytest.mark.parametrize("to", ["b", "new"])
    def test_to_a_receiver_that_was_renamed(self, send: Sends, to: str) -> None:
        """Under either name it is the same mailbox."""
        first = send()
        send.rename("b", "new")
        assert send(to=to).id == first.id

    @pytest.mark.parametrize("to", ["old", "b"])
    def test_to_a_receiver_that_was_addressed_by_a_former_name(self, send: Sends, to: str) -> None:
        send.register("old")
        send.rename("old", "b")
        first = send(to="old")
        assert first.forwarded_from == "old"
        assert send(to=to).id == first.id

    def test_to_a_receiver_that_was_deleted(self, send: Sends) -> None:
        """The very same request is a repetition whatever became of its receiver."""
        first = send()
        send.delete("b")
        assert send().id == first.id

    def test_of_another_senders_key_is_no_repeat(self, send: Sends) -> None:
        send()
        assert not send(sender="c").duplicate
        assert send.count() == 2


class TestSender:
    @pytest.mark.parametrize("sender", ["a", "new"])
    def test_that_was_renamed(self, send: Sends, sender: str) -> None:
        first = send()
        send.rename("a", "new")
        again = send(sender=sender)
        assert (again.id, again.duplicate, again.sender) == (first.id, True, "new")

    def test_that_was_deleted(self, send: Sends) -> None:
        """Its mailbox is made again by the retry, and knows the key."""
        first = send()
        send.delete("a")
        assert send().id == first.id

    @pytest.mark.parametrize("sender", ["a", "new"])
    def test_that_was_renamed_and_deleted(self, send: Sends, sender: str) -> None:
        first = send()
        send.rename("a", "new")
        send.delete("new")
        assert send(sender=sender).id == first.id

    @pytest.mark.parametrize("sender", ["a", "new"])
    def test_that_was_deleted_made_again_and_renamed(self, send: Sends, sender: str) -> None:
        first = send()
        send.delete("a")
        send.register("a")
        send.rename("a", "new")
        assert send(sender=sender).id == first.id

    @pytest.mark.parametrize("sender", ["old", "a"])
    def test_that_used_a_former_name_and_was_deleted(self, send: Sends, sender: str) -> None:
        send.register("old")
        send.rename("old", "a")
        first = send(sender="old")
        send.delete("a")
        assert send(sender=sender).id == first.id

    def test_that_takes_its_former_name_back(self, send: Sends) -> None:
        first = send()
        send.rename("a", "new")
        send.rename("new", "a")
        assert send().id == first.id

    def test_whose_new_name_was_used_with_the_same_key_by_a_mailbox_that_is_gone(
        self, send: Sends
    ) -> None:
        """The renamed mailbox's own key wins."""
        send(sender="new", body="of another")
        send.delete("new")
        first = send()
        send.rename("a", "new")
        assert send(sender="new").id == first.id


class TestAge:
    def test_a_key_holds_for_a_day(self, send: Sends) -> None:
        first = send()
        send.now += KEY_MILLISECONDS - 1
        assert send().id == first.id

    def test_an_older_key_does_not_count(self, send: Sends) -> None:
        """Whether or not it was removed; the new message's key holds for a day again."""
        send()
        send.now += KEY_MILLISECONDS
        second = send(body="other")
        assert not second.duplicate
        send.now += KEY_MILLISECONDS - 1
        assert send(body="other").id == second.id

    def test_an_older_key_does_not_stand_in_the_way_of_a_rename(self, send: Sends) -> None:
        send(sender="new", body="of another")
        send.delete("new")
        send.now += KEY_MILLISECONDS // 2
        first = send()
        send.now += KEY_MILLISECONDS // 2
        send.rename("a", "new")
        assert send(sender="new").id == first.id

    def test_older_keys_are_removed(self, send: Sends) -> None:
        """And no others."""
        send()
        send.now += 1000
        first = send(sender="c")
        assert send.transaction.mail.forget_keys(NOW + 1) == 1
        assert not send().duplicate
        assert send(sender="c").id == first.id
