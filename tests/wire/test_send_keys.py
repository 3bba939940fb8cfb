"""``POST /v1/send`` with an idempotency key."""

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.connection import path
from wire.mail import Mail


class TestKeys:
    """Idempotent sends."""

    def test_a_repeated_key_gives_the_first_answer(self, mail: Mail, fresh: Fresh) -> None:
        """The same in every field, and ``duplicate`` besides; one message is there."""
        sender, to = fresh("from"), fresh("to")
        first = mail.send(sender, to, "one", idempotencyKey="k")

        second = mail.send(sender, to, "one", idempotencyKey="k")

        assert "duplicate" not in first
        assert second == {**first, "duplicate": True}
        assert mail.bodies(to) == ["one"]

    def test_the_first_answer_holds_when_the_message_was_read(
        self, mail: Mail, fresh: Fresh
    ) -> None:
        """It tells of the recipient as it was then."""
        sender, to = fresh("from"), fresh("to")
        mail.check(to)
        first = mail.send(sender, to, "one", idempotencyKey="k")
        mail.check(to)

        assert mail.send(sender, to, "one", idempotencyKey="k") == {**first, "duplicate": True}
        assert mail.bodies(to) == []

    @pytest.mark.parametrize("change", ["to", "body"])
    def test_a_key_with_another_message_is_refused(
        self, mail: Mail, fresh: Fresh, change: str
    ) -> None:
        """Nothing is stored: the caller believes that it is a new message, or has a bug."""
        sender, to = fresh("from"), fresh("to")
        content = {"to": to, "body": "one", "idempotencyKey": "k"}
        mail.request("POST", "/v1/send", sender, content=content)

        content[change] = fresh("other")
        reply = mail.request("POST", "/v1/send", sender, content=content)

        assert "new key" in reply.error(409, "key-reused")
        assert mail.bodies(to) == ["one"]

    def test_a_retry_after_the_senders_mailbox_was_deleted(self, mail: Mail, fresh: Fresh) -> None:
        """A session that ended takes its mailbox along, but not its keys."""
        sender, to = fresh("from"), fresh("to")
        first = mail.send(sender, to, "one", idempotencyKey="k")
        assert mail.bodies(to) == ["one"]
        target = path("/v1/mailbox", name=sender)
        assert mail.request("DELETE", target, sender).json() == {"deleted": True}

        assert mail.send(sender, to, "one", idempotencyKey="k") == {**first, "duplicate": True}
        assert mail.bodies(to) == []

    def test_keys_belong_to_their_sender(self, mail: Mail, fresh: Fresh) -> None:
        """Another sender's equal key is another key."""
        to = fresh("to")
        mail.send(fresh("from"), to, "one", idempotencyKey="k")
        mail.send(fresh("from"), to, "two", idempotencyKey="k")

        assert mail.bodies(to) == ["one", "two"]

    def test_keys_stay_with_a_sender_that_is_renamed(self, mail: Mail, fresh: Fresh) -> None:
        """The mailbox is the same one."""
        sender, to, new = fresh("from"), fresh("to"), fresh("new")
        first = mail.send(sender, to, "one", idempotencyKey="k")
        mail.rename(sender, new)

        again = mail.send(new, to, "one", idempotencyKey="k")

        assert (again["id"], again["duplicate"]) == (first["id"], True)

    @pytest.mark.parametrize("key", ["x" * 200, "🐎", "a\nb", " "])
    def test_any_text_of_200_characters_is_a_key(self, mail: Mail, fresh: Fresh, key: str) -> None:
        """Any text of 1 to 200 characters is a key."""
        sender, to = fresh("from"), fresh("to")
        mail.send(sender, to, idempotencyKey=key)

        assert mail.send(sender, to, idempotencyKey=key)["duplicate"] is True

    @pytest.mark.parametrize("key", ["", "x" * 201])
    def test_malformed_keys_are_refused(self, mail: Mail, key: str) -> None:
        """Too short, too long."""
        content = {"to": "x", "body": "y", "idempotencyKey": key}

        reply = mail.request("POST", "/v1/send", "sender", content=content)

        assert "idempotencyKey" in reply.error(400, "bad-request")

    def test_many_sends_with_one_key_at_once_store_one_message(
        self, connect: Connect, fresh: Fresh
    ) -> None:
        """Twenty impatient repetitions, on connections of their own."""
        sender, to = fresh("from"), fresh("to")
        content = {"to": to, "body": "once", "idempotencyKey": "k"}
        impatient = [connect() for _ in range(20)]
        for mail in impatient:
            mail.start("POST", "/v1/send", sender, content=content)

        receipts = [mail.read().json() for mail in impatient]

        assert len({receipt["id"] for receipt in receipts}) == 1
        assert sum("duplicate" not in receipt for receipt in receipts) == 1
        assert connect().bodies(to) == ["once"]

    def test_keys_outlive_the_daemon(self, fresh: Fresh) -> None:
        """A client that repeats a send because the daemon died does not send twice."""
        with DaemonProcess() as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                first = mail.send("sender", "to", "one", idempotencyKey="k")
            daemon.restart()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                again = mail.send("sender", "to", "one", idempotencyKey="k")

                assert again == {**first, "duplicate": True}
                assert mail.bodies("to") == ["one"]
