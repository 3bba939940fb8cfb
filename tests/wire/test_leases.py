"""Explicit leases: ack, release, extend, and what becomes of those that run out."""

import pytest

from wire.conftest import Connect, Fresh
from wire.mail import Mail


def take(mail: Mail, name: str, *bodies: str, lease: float = 60) -> list[str]:
    """Send messages, take them under a lease, and return the tokens."""
    for body in bodies or ("hello",):
        mail.send("sender", name, body)
    return [message["lease"] for message in mail.check(name, lease=lease)]


def test_a_leased_message_has_a_token(mail: Mail, fresh: Fresh) -> None:
    """From ``check-inbox`` and from ``watch``; a plain one has none."""
    name = fresh("me")
    for body in ("checked", "watched", "plain"):
        mail.send("sender", name, body)

    checked = mail.check(name, lease=60, limit=1)
    watched = mail.watch(name, lease=60)
    plain = mail.watch(name)

    assert watched is not None
    assert plain is not None
    tokens = {checked[0]["lease"], watched["lease"]}
    assert len(tokens) == 2
    assert all(isinstance(token, str) and token for token in tokens)
    assert "lease" not in plain


class TestAck:
    """``POST /v1/ack``"""

    def test_what_was_acked_never_comes_again(self, mail: Mail, fresh: Fresh) -> None:
        """It is done, and a release afterwards finds nothing."""
        name = fresh("me")
        (token,) = take(mail, name)

        assert mail.outcome("ack", name, token) == {"done": [token], "lost": []}
        assert mail.outcome("release", name, token) == {"done": [], "lost": [token]}
        assert mail.bodies(name) == []

    def test_a_repeated_ack_succeeds(self, mail: Mail, fresh: Fresh) -> None:
        """A client that missed the answer may ask again."""
        name = fresh("me")
        (token,) = take(mail, name)
        mail.outcome("ack", name, token)

        assert mail.outcome("ack", name, token) == {"done": [token], "lost": []}

    def test_an_ack_after_a_release_is_lost(self, mail: Mail, fresh: Fresh) -> None:
        """The message is in line again, and may be in other hands."""
        name = fresh("me")
        (token,) = take(mail, name)
        mail.outcome("release", name, token)

        assert mail.outcome("ack", name, token) == {"done": [], "lost": [token]}
        assert mail.bodies(name) == ["hello"]

    def test_an_old_token_does_not_end_a_new_lease(self, mail: Mail, fresh: Fresh) -> None:
        """Each delivery has a token of its own."""
        name = fresh("me")
        (old,) = take(mail, name)
        mail.outcome("release", name, old)
        (message,) = mail.check(name, lease=60)

        assert mail.outcome("ack", name, old) == {"done": [], "lost": [old]}
        assert mail.outcome("ack", name, message["lease"])["done"] == [message["lease"]]


class TestRelease:
    """``POST /v1/release``"""

    def test_messages_return_to_their_places(self, mail: Mail, fresh: Fresh) -> None:
        """Before all that was sent later, and with one attempt more."""
        name = fresh("me")
        tokens = take(mail, name, "1", "2")
        mail.send("sender", name, "3")

        assert mail.outcome("release", name, *tokens) == {"done": tokens, "lost": []}

        messages = mail.check(name)
        assert [(m["body"], m["attempts"]) for m in messages] == [("1", 2), ("2", 2), ("3", 1)]

    def test_a_release_wakes_a_watcher(self, connect: Connect, fresh: Fresh) -> None:
        """As a new message would."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        (token,) = take(mail, name)
        watcher.start_watch(name)
        mail.wait_for_waiters(1)

        mail.outcome("release", name, token)

        assert watcher.read().json()["attempts"] == 2


# These wait for real seconds to pass; one transport is enough.
@pytest.mark.parametrize("address", ["tcp"], indirect=True)
class TestExpiry:
    """A lease that nobody ends."""

    def test_after_the_lease_the_message_comes_again(self, connect: Connect, fresh: Fresh) -> None:
        """A blocked watcher gets it at the lease's end."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        (token,) = take(mail, name, lease=1)
        watcher.start_watch(name)

        message = watcher.read().json()

        assert (message["body"], message["attempts"]) == ("hello", 2)
        assert mail.outcome("ack", name, token) == {"done": [], "lost": [token]}

    def test_an_extended_lease_lasts_longer(self, connect: Connect, fresh: Fresh) -> None:
        """Of two equal leases the one that is extended stays."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        first, second = take(mail, name, "short", "long", lease=1)
        assert mail.outcome("extend", name, second, seconds=60) == {"done": [second], "lost": []}
        watcher.start_watch(name)

        assert watcher.read().json()["body"] == "short"
        assert mail.outcome("ack", name, first, second) == {"done": [second], "lost": [first]}

    def test_an_extension_can_shorten_a_lease(self, connect: Connect, fresh: Fresh) -> None:
        """The new end counts from now."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        (token,) = take(mail, name, lease=3600)
        mail.outcome("extend", name, token, seconds=1)
        watcher.start_watch(name)

        assert watcher.read().json()["attempts"] == 2

    def test_an_extension_after_the_end_is_lost(self, connect: Connect, fresh: Fresh) -> None:
        """After the end there is nothing to extend."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        (token,) = take(mail, name, lease=1)
        watcher.start_watch(name)
        watcher.read()

        assert mail.outcome("extend", name, token, seconds=60) == {"done": [], "lost": [token]}

    def test_an_extension_is_a_minute_by_default(self, mail: Mail, fresh: Fresh) -> None:
        """A minute, then."""
        name = fresh("me")
        (token,) = take(mail, name)

        assert mail.outcome("extend", name, token)["done"] == [token]


class TestHolder:
    """Who may end a lease."""

    @pytest.mark.parametrize("verb", ["ack", "release", "extend"])
    def test_only_the_holder_may_end_a_lease(self, mail: Mail, fresh: Fresh, verb: str) -> None:
        """To others the token is lost, and the lease stays."""
        name = fresh("me")
        (token,) = take(mail, name)

        assert mail.outcome(verb, fresh("thief"), token) == {"done": [], "lost": [token]}
        assert mail.outcome("ack", name, token)["done"] == [token]

    @pytest.mark.parametrize("verb", ["ack", "release", "extend"])
    def test_without_a_header_it_is_refused(self, mail: Mail, verb: str) -> None:
        """400."""
        reply = mail.request("POST", f"/v1/{verb}", content={"leases": []})

        assert "X-Mailbox" in reply.error(400, "bad-request")

    def test_a_renamed_holder_keeps_its_leases(self, mail: Mail, fresh: Fresh) -> None:
        """Under the former and the present name the leases are the same ones."""
        name, new = fresh("me"), fresh("new")
        first, second = take(mail, name, "1", "2")
        mail.rename(name, new)

        assert mail.outcome("ack", name, first)["done"] == [first]
        assert mail.outcome("ack", new, second)["done"] == [second]


class TestTokens:
    """Odd lists of tokens."""

    @pytest.mark.parametrize("verb", ["ack", "release", "extend"])
    def test_an_empty_list_does_nothing(self, mail: Mail, fresh: Fresh, verb: str) -> None:
        """Nothing asked, nothing done."""
        assert mail.outcome(verb, fresh("me")) == {"done": [], "lost": []}

    @pytest.mark.parametrize("verb", ["ack", "release", "extend"])
    @pytest.mark.parametrize(
        "token", ["", "-", "1-", "-1-x", "1", "x" * 10_000, "9" * 30 + "-x", "0x1-y", "1-'; --"]
    )
    def test_an_unknown_token_is_lost(
        self, mail: Mail, fresh: Fresh, verb: str, token: str
    ) -> None:
        """It is lost."""
        assert mail.outcome(verb, fresh("me"), token) == {"done": [], "lost": [token]}

    @pytest.mark.parametrize("verb", ["ack", "release", "extend"])
    @pytest.mark.parametrize(
        "leases",
        [None, "token", 1, {"a": "b"}, [1], [None], [["x"]], ["\ud800"], ["1-\ud800"], ["é"]],
    )
    def test_a_malformed_list_of_tokens_is_refused(
        self, mail: Mail, fresh: Fresh, verb: str, leases: object
    ) -> None:
        """400 names the field."""
        reply = mail.request("POST", f"/v1/{verb}", fresh("me"), content={"leases": leases})

        assert "'leases'" in reply.error(400, "bad-request")

    def test_too_many_tokens_are_refused(self, mail: Mail, fresh: Fresh) -> None:
        """10,000 are enough for anybody."""
        content = {"leases": ["1-x"] * 10_001}

        reply = mail.request("POST", "/v1/ack", fresh("me"), content=content)

        assert "10000" in reply.error(400, "bad-request")

    @pytest.mark.parametrize(
        "seconds",
        ["sixty", "0", True, [], 0, 0.5, -1, 3601, 10**400, float("inf"), float("nan")],
    )
    def test_malformed_seconds_are_refused(self, mail: Mail, fresh: Fresh, seconds: object) -> None:
        """A number from 1 to 3,600."""
        name = fresh("me")
        (token,) = take(mail, name)
        content = {"leases": [token], "seconds": seconds}

        reply = mail.request("POST", "/v1/extend", name, content=content)

        assert "'seconds'" in reply.error(400, "bad-request")
        assert mail.outcome("ack", name, token)["done"] == [token]

    def test_a_token_twice_in_a_list_is_acked_twice_and_released_once(
        self, mail: Mail, fresh: Fresh
    ) -> None:
        """An ack is done both times, a release once."""
        name = fresh("me")
        (token,) = take(mail, name)

        assert mail.outcome("release", name, token, token) == {"done": [token], "lost": [token]}
        (message,) = mail.check(name, lease=60)
        token = message["lease"]
        assert mail.outcome("ack", name, token, token) == {"done": [token, token], "lost": []}
