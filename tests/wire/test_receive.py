"""``check-inbox`` and ``watch``: order, limits, headers and time-outs."""

import itertools

import pytest

from wire.conftest import Connect, Fresh
from wire.connection import path
from wire.mail import Mail, is_now, parse_time


class TestCheck:
    """``POST /v1/check-inbox``"""

    def test_all_that_waits_oldest_first(self, mail: Mail, fresh: Fresh) -> None:
        """Once, with the fields of a message and no more."""
        name = fresh("me")
        sent = [mail.send("sender", name, f"message {number}") for number in range(3)]

        messages = mail.check(name)

        assert messages == [
            {
                "id": receipt["id"],
                "from": "sender",
                "body": f"message {number}",
                "sentAt": receipt["sentAt"],
                "attempts": 1,
            }
            for number, receipt in enumerate(sent)
        ]
        assert mail.check(name) == []

    def test_an_empty_mailbox_gives_an_empty_list(self, mail: Mail, fresh: Fresh) -> None:
        """An empty list, and the caller is known from now on."""
        name = fresh("me")

        reply = mail.request("POST", path("/v1/check-inbox", name=name), name)

        assert (reply.json(), reply.headers["x-mailbox-pending"]) == ([], "0")
        assert name in mail.rows()

    def test_limit_is_the_most_messages(self, mail: Mail, fresh: Fresh) -> None:
        """The header counts what stays behind."""
        name = fresh("me")
        for number in range(5):
            mail.send("sender", name, str(number))

        reply = mail.request("POST", path("/v1/check-inbox", name=name, limit=3), name)

        assert [message["body"] for message in reply.json()] == ["0", "1", "2"]
        assert reply.headers["x-mailbox-pending"] == "2"
        assert mail.bodies(name) == ["3", "4"]

    def test_a_check_gives_at_most_a_thousand_messages(self, mail: Mail, fresh: Fresh) -> None:
        """Even when asked for."""
        name = fresh("me")
        for number in range(1001):
            mail.start("POST", "/v1/send", "sender", content={"to": name, "body": str(number)})
            if number % 50 == 49:
                for _ in range(50):
                    mail.read()
        mail.read()

        reply = mail.request("POST", path("/v1/check-inbox", name=name, limit=9999), name)

        assert [message["body"] for message in reply.json()] == [str(n) for n in range(1000)]
        assert reply.headers["x-mailbox-pending"] == "1"
        assert mail.bodies(name) == ["1000"]

    def test_a_check_gives_at_most_8_mib(self, mail: Mail, fresh: Fresh) -> None:
        """Whole messages, counted in bytes of UTF-8."""
        name = fresh("me")
        for letter in "abcdefghi":
            mail.send("sender", name, letter + "é" * 524_287)

        reply = mail.request("POST", path("/v1/check-inbox", name=name), name)

        assert [message["body"][0] for message in reply.json()] == list("abcdefgh")
        assert reply.headers["x-mailbox-pending"] == "1"
        assert [body[0] for body in mail.bodies(name)] == ["i"]

    def test_characters_can_be_capped(self, mail: Mail, fresh: Fresh) -> None:
        """``maxChars``: whole messages with 200 for each one's framing, and possibly none."""
        name = fresh("me")
        for size in (100, 100, 100):
            mail.send("sender", name, "x" * size)
        target = path("/v1/check-inbox", name=name, maxChars=600)

        none = mail.request("POST", path("/v1/check-inbox", name=name, maxChars=299), name)
        two = mail.request("POST", target, name)
        one = mail.request("POST", target, name)

        assert [len(reply.json()) for reply in (none, two, one)] == [0, 2, 1]
        assert [reply.headers["x-mailbox-pending"] for reply in (none, two, one)] == ["3", "1", "0"]

    def test_mail_of_two_senders_comes_in_order(self, mail: Mail, fresh: Fresh) -> None:
        """The order is that of sending, whoever sent."""
        name = fresh("me")
        senders = itertools.cycle([fresh("a"), fresh("b")])
        for number in range(6):
            mail.send(next(senders), name, str(number))

        assert mail.bodies(name) == list("012345")

    @pytest.mark.parametrize("value", ["-1", "x", "", "nan", "inf", "1e400", "1_0", "%D9%A1"])
    @pytest.mark.parametrize("key", ["limit", "maxChars", "lease"])
    def test_malformed_numbers_are_refused(
        self, mail: Mail, fresh: Fresh, key: str, value: str
    ) -> None:
        """400 names the parameter, and nothing is taken."""
        name = fresh("me")
        mail.send("sender", name)

        reply = mail.request("POST", f"/v1/check-inbox?name={name}&{key}={value}", name)

        assert f"'{key}'" in reply.error(400, "bad-request")
        assert mail.peek(name)["pending"] == 1

    def test_a_limit_of_zero_is_refused(self, mail: Mail, fresh: Fresh) -> None:
        """Who wants nothing should peek."""
        name = fresh("me")

        reply = mail.request("POST", path("/v1/check-inbox", name=name, limit=0), name)

        assert "at least 1" in reply.error(400, "bad-request")

    @pytest.mark.parametrize("lease", ["0.5", "3601", "-60"])
    def test_a_lease_out_of_range_is_refused(self, mail: Mail, fresh: Fresh, lease: str) -> None:
        """1 to 3,600 seconds."""
        name = fresh("me")

        reply = mail.request("POST", path("/v1/check-inbox", name=name, lease=lease), name)

        assert "3600" in reply.error(400, "bad-request")


class TestWhoMayReceive:
    """The header says who is there, and ``name`` whose mail it is: both must agree."""

    @pytest.mark.parametrize(
        ("method", "route"),
        [("POST", "/v1/check-inbox"), ("GET", "/v1/watch"), ("DELETE", "/v1/mailbox")],
    )
    def test_another_mailbox_may_not_take_mail(
        self, mail: Mail, fresh: Fresh, method: str, route: str
    ) -> None:
        """403 names both, and the mail stays."""
        name, other = fresh("me"), fresh("other")
        mail.send("sender", name)

        reply = mail.request(method, path(route, name=name), other)

        sentence = reply.error(403, "name-mismatch")
        assert name in sentence
        assert other in sentence
        assert mail.peek(name)["pending"] == 1

    @pytest.mark.parametrize(
        ("method", "route"),
        [("POST", "/v1/check-inbox"), ("GET", "/v1/watch"), ("DELETE", "/v1/mailbox")],
    )
    def test_without_a_name_nobody_may_take_mail(
        self, mail: Mail, fresh: Fresh, method: str, route: str
    ) -> None:
        """Without the header, or without the name."""
        name = fresh("me")

        header = mail.request(method, path(route, name=name)).error(400, "bad-request")
        parameter = mail.request(method, route, name).error(400, "invalid-name")

        assert "X-Mailbox" in header
        assert "'name'" in parameter

    @pytest.mark.parametrize("route", ["/v1/check-inbox", "/v1/watch"])
    def test_names_are_case_sensitive(self, mail: Mail, fresh: Fresh, route: str) -> None:
        """Names are compared letter by letter."""
        name = fresh("me")
        method = "POST" if route.endswith("inbox") else "GET"

        mail.request(method, path(route, name=name.upper()), name).error(403, "name-mismatch")


class TestWatch:
    """``GET /v1/watch``"""

    def test_mail_that_waits_comes_at_once(self, mail: Mail, fresh: Fresh) -> None:
        """One message, the oldest; the next watch gets the next one."""
        name = fresh("me")
        for number in range(3):
            mail.send("sender", name, str(number))

        messages = [mail.watch(name) for _ in range(3)]

        assert [message and message["body"] for message in messages] == ["0", "1", "2"]
        assert mail.watch(name, timeout=0) is None

    def test_a_message_wakes_the_watcher(self, connect: Connect, fresh: Fresh) -> None:
        """With the fields of a message and no more."""
        name = fresh("me")
        watcher, mail = connect(), connect()
        watcher.start_watch(name)
        mail.wait_for_waiters(1)

        receipt = mail.send("sender", name, "wake up")

        assert watcher.read().json() == {
            "id": receipt["id"],
            "from": "sender",
            "body": "wake up",
            "sentAt": receipt["sentAt"],
            "attempts": 1,
        }

    def test_mail_for_others_wakes_nobody_else(self, connect: Connect, fresh: Fresh) -> None:
        """Each mailbox has its own line."""
        name, other = fresh("me"), fresh("other")
        watcher, mail = connect(), connect()
        watcher.start_watch(name)
        mail.wait_for_waiters(1)
        mail.send("sender", other)
        mail.send("sender", name, "mine")

        assert watcher.read().json()["body"] == "mine"

    @pytest.mark.parametrize("timeout", ["0", "-5", "-1e9", "0.05"])
    def test_a_watch_without_mail_is_204(self, mail: Mail, fresh: Fresh, timeout: str) -> None:
        """204 without a body; the connection goes on."""
        name = fresh("me")

        reply = mail.request("GET", path("/v1/watch", name=name, timeout=timeout), name)

        assert (reply.status, reply.body) == (204, b"")
        assert mail.health()["status"] == "ok"

    @pytest.mark.parametrize("timeout", ["301", "1e9", "99999999999999999999"])
    def test_a_long_timeout_is_clamped(self, connect: Connect, fresh: Fresh, timeout: str) -> None:
        """It is no error."""
        name = fresh("me")
        watcher, mail = connect(), connect()
        watcher.start_watch(name, timeout=timeout)
        mail.wait_for_waiters(1)
        mail.send("sender", name)

        assert watcher.read().status == 200

    @pytest.mark.parametrize("timeout", ["soon", "", "nan", "inf", "-inf", "1_0", "0x10", "5s"])
    def test_a_timeout_that_is_not_a_number_is_refused(
        self, mail: Mail, fresh: Fresh, timeout: str
    ) -> None:
        """400, and the message stays."""
        name = fresh("me")
        mail.send("sender", name)

        reply = mail.request("GET", path("/v1/watch", name=name) + f"&timeout={timeout}", name)

        assert "'timeout'" in reply.error(400, "bad-request")
        assert mail.peek(name)["pending"] == 1

    def test_the_list_shows_who_is_watched(self, connect: Connect, fresh: Fresh) -> None:
        """In the list, from the moment it stands in line until it leaves."""
        name = fresh("me")
        watcher, mail = connect(), connect()
        watcher.start_watch(name)
        mail.wait_for_waiters(1)

        assert mail.rows()[name]["watching"] is True
        watcher.close()
        mail.wait_for_waiters(0)
        assert mail.rows()[name]["watching"] is False

    def test_the_first_of_several_watchers_gets_it(self, connect: Connect, fresh: Fresh) -> None:
        """First registered, first served; the others go on waiting."""
        name = fresh("me")
        mail = connect()
        watchers = []
        for number in range(1, 9):
            watchers.append(connect())
            watchers[-1].start_watch(name)
            mail.wait_for_waiters(number)

        for number, watcher in enumerate(watchers):
            mail.send("sender", name, str(number))
            assert watcher.read().json()["body"] == str(number)
            mail.wait_for_waiters(len(watchers) - number - 1)

    def test_times_are_those_of_the_send(self, mail: Mail, fresh: Fresh) -> None:
        """``sentAt`` is when it was sent, not when it was taken."""
        name = fresh("me")
        receipt = mail.send("sender", name)
        assert is_now(receipt["sentAt"])

        message = mail.watch(name)

        assert message is not None
        assert parse_time(message["sentAt"]) == parse_time(receipt["sentAt"])
