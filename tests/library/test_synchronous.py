"""`Mailbox`, with a real daemon."""

import gc
import inspect
import threading
from datetime import UTC, datetime, timedelta

import pytest

from claude_mailbox import AsyncMailbox, Mailbox
from claude_mailbox.errors import DaemonUnreachable, InvalidName
from claude_mailbox.library import LeaseLost, Refused
from support.daemon import DaemonProcess


def test_check_takes_what_was_sent_and_acks_it_at_the_end(home: DaemonProcess) -> None:
    """In order, with all that is known of a message."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        receipt = alice.send("bob", "one")
        alice.send("bob", "two")
        with bob.check() as messages:
            first, second = messages

        assert (receipt.id, receipt.recipient, receipt.known) == (1, "bob", False)
        assert (first.id, first.sender, first.body, first.attempts) == (1, "alice", "one", 1)
        assert abs(first.sent_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert second.body == "two"
        assert [entry.state for entry in alice.history()] == ["delivered", "delivered"]
        assert bob.check() == []


def test_messages_go_back_after_an_error(home: DaemonProcess) -> None:
    """Those that were not acked before."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        alice.send("bob", "one")
        alice.send("bob", "two")
        messages = bob.check()
        messages[0].ack()
        with pytest.raises(KeyError), messages:
            raise KeyError

        (again,) = bob.check()
        assert (again.body, again.attempts) == ("two", 2)


def test_what_is_left_goes_back_when_the_mailbox_is_closed(home: DaemonProcess) -> None:
    """At once, and not when the lease ends; what was acked stays delivered."""
    with Mailbox("alice") as alice:
        for body in ("one", "two", "three"):
            alice.send("bob", body)
    with Mailbox("bob") as bob:
        bob.check(limit=2)[0].ack()
        assert next(bob.follow()).body == "three"
    with Mailbox("bob") as bob:
        assert [(each.body, each.attempts) for each in bob.check()] == [("two", 2), ("three", 2)]


# httpcore leaves a Unix socket that nobody listens on to the garbage collector, which comes now.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_mailbox_can_be_closed_when_the_daemon_is_gone(home: DaemonProcess) -> None:
    """What it held comes again by itself."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        alice.send("bob", "hello")
        assert bob.watch(0) is not None
        home.kill()
    gc.collect()


def test_watch_waits_and_a_message_is_a_context_manager(home: DaemonProcess) -> None:
    """Acked at its end, released after an error."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        assert bob.watch(0) is None
        sender = threading.Timer(0.1, alice.send, ("bob", "hello"))
        sender.start()
        message = bob.watch(20)
        sender.join()
        assert message is not None
        with pytest.raises(KeyError), message:
            raise KeyError
        message = bob.watch(0)
        assert message is not None
        assert message.attempts == 2
        with message:
            pass
        assert bob.watch(0) is None


def test_follow_goes_on_after_a_restart_and_a_rename(home: DaemonProcess) -> None:
    """Each message once."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        mail = bob.follow()
        alice.send("bob", "one")
        with next(mail) as message:
            assert message.body == "one"
        home.restart()
        alice.send("bob", "two")
        with next(mail) as message:
            assert message.body == "two"
        with Mailbox("bob") as other:
            other.rename("robert")
        alice.send("robert", "three")
        with next(mail) as message:
            assert message.body == "three"
        assert bob.name == "robert"
        alice.send("robert", "four")
        assert [each.body for each in bob.check()] == ["four"]


def test_ack_after_the_lease_is_an_error(home: DaemonProcess) -> None:
    """Somebody else may have the message by then."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:
        alice.send("bob", "one")
        (message,) = bob.check()
        message.extend(5)
        message.release()
        with pytest.raises(LeaseLost, match="message 1 "):
            message.ack()


def test_a_key_stores_a_message_once(home: DaemonProcess) -> None:
    """However often it is sent."""
    with Mailbox("alice") as alice:
        first = alice.send("bob", "one", key="k")
        again = alice.send("bob", "one", key="k")

        assert first.id == again.id
        assert again.fields["duplicate"] is True
        with pytest.raises(Refused) as error:
            alice.send("bob", "other", key="k")
        assert error.value.code == "key-reused"


def test_history_finds_by_words_peer_and_time(home: DaemonProcess) -> None:
    """Newest first."""
    with Mailbox("alice") as alice:
        alice.send("bob", "the tests are green")
        alice.send("carl", "the tests are red")

        assert [entry.body for entry in alice.history("tests red")] == ["the tests are red"]
        assert [entry.recipient for entry in alice.history(peer="bob")] == ["bob"]
        later = datetime.now(UTC) + timedelta(hours=1)
        assert alice.history(since=later) == []
        assert [entry.id for entry in alice.history(limit=1)] == [2]
        assert [entry.id for entry in alice.history(before=2)] == [1]


def test_ask_waits_for_the_reply(home: DaemonProcess) -> None:
    """The answer is a leased message; without one in time it comes as mail."""
    with Mailbox("alice") as alice, Mailbox("bob") as bob:

        def answer() -> None:
            (question,) = iter([bob.watch(20)])
            assert question is not None
            with question:
                bob.reply(question, "soon", final=False)
                bob.reply(question, "yes")

        asked = threading.Thread(target=answer)
        asked.start()
        found = alice.ask("bob", "Is it ready?", 20)
        asked.join()
        assert found is not None
        assert (found.body, found.fields["replyTo"]) == ("yes", 1)
        found.ack()
        assert [message.body for message in alice.check()] == ["soon"]
        assert alice.ask("bob", "Are you there?", 0) is None


def test_names_may_have_characters_beyond_ascii(home: DaemonProcess) -> None:
    """They travel in a header."""
    with Mailbox("Zoë Ünal") as zoe, Mailbox("日本") as nihon:
        zoe.send("日本", "こんにちは")
        (message,) = nihon.check()
        assert (message.sender, message.body) == ("Zoë Ünal", "こんにちは")


# httpcore leaves a Unix socket that nobody listens on to the garbage collector, which comes now.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_a_daemon_it_says_how_to_start_one(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`follow`, too, if nobody ever answered."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    with Mailbox("alice") as alice:
        with pytest.raises(DaemonUnreachable, match="claude-mailbox start"):
            alice.send("bob", "one")
        with pytest.raises(DaemonUnreachable):
            next(alice.follow())
        gc.collect()
    with pytest.raises(InvalidName):
        Mailbox(" ")


def test_both_classes_have_the_same_methods() -> None:
    """With the same parameters."""

    def signatures(kind: type) -> dict[str, list[tuple[str, object]]]:
        return {
            name: [(p.name, p.default) for p in inspect.signature(member).parameters.values()]
            for name, member in vars(kind).items()
            if callable(member) and not name.startswith("_")
        }

    assert signatures(Mailbox) == signatures(AsyncMailbox)
    assert len(signatures(Mailbox)) > 6
