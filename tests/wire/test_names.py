"""``list``, ``rename`` and ``DELETE``: who there is, under which name, and for how long."""

import itertools
import sqlite3

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.connection import path
from wire.mail import Mail, is_now

MINUTE = 60_000


def let_time_pass(daemon: DaemonProcess, minutes: int, *names: str) -> None:
    """Make mailboxes look unused for longer; the daemon must not run."""
    database = sqlite3.connect(daemon.database)
    with database:
        for name in names:
            database.execute(
                "UPDATE mailbox SET created_at = created_at - :age,"
                " last_seen_at = last_seen_at - :age WHERE name = :name",
                {"age": minutes * MINUTE, "name": name},
            )
    database.close()


class TestList:
    """``GET /v1/list``"""

    def test_a_row(self, mail: Mail, fresh: Fresh) -> None:
        """All fields, and no more."""
        name, peer = fresh("me"), fresh("peer")
        mail.send(peer, name)

        row = mail.rows()[peer]

        assert is_now(row.pop("lastSeenAt"))
        assert row == {
            "name": peer,
            "pending": 0,
            "pendingForYou": 0,
            "watching": False,
            "state": "unknown",
        }

    def test_a_mailbox_that_was_only_written_to(self, mail: Mail, fresh: Fresh) -> None:
        """It is there, and nobody was seen in it."""
        name = fresh("nobody")
        mail.send("sender", name)

        assert mail.rows()[name]["lastSeenAt"] is None
        assert mail.rows()[name]["pending"] == 1

    def test_pending_for_the_caller(self, mail: Mail, fresh: Fresh) -> None:
        """Messages from that mailbox that wait for the caller, and not those of others."""
        me, friend, other = fresh("me"), fresh("friend"), fresh("stranger")
        mail.send(friend, me)
        mail.send(friend, me)
        mail.send(friend, other)
        mail.send(other, me)
        mail.check(me, limit=1, lease=60)

        rows = mail.rows(me)

        assert (rows[friend]["pendingForYou"], rows[other]["pendingForYou"]) == (1, 1)
        assert (rows[me]["pending"], rows[me]["pendingForYou"]) == (2, 0)
        assert mail.rows()[friend]["pendingForYou"] == 0

    def test_the_caller_is_registered(self, mail: Mail, fresh: Fresh) -> None:
        """Who asks with a name is in the answer."""
        name = fresh("me")

        assert name in mail.rows(name)

    def test_the_latest_come_first(self, mail: Mail, fresh: Fresh) -> None:
        """The rows are sorted by presence."""
        first, second = fresh("first"), fresh("second")
        mail.check(first)
        mail.check(second)
        rows = mail.request("GET", "/v1/list").json()

        times = [row["lastSeenAt"] for row in rows if row["lastSeenAt"]]

        assert times == sorted(times, reverse=True)

    def test_the_idle_are_hidden(self) -> None:
        """Longer than ``hideAfterMinutes``; but not the caller, nor whose mail waits for it."""
        with DaemonProcess({"hideAfterMinutes": 10}) as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                for name in ("fresh", "idle", "idle-sender", "caller"):
                    mail.check(name)
                mail.send("idle-sender", "caller")
                mail.send("fresh", "idle-and-unknown")
            daemon.stop()
            let_time_pass(daemon, 9, "fresh")
            let_time_pass(daemon, 11, "idle", "idle-sender", "caller", "idle-and-unknown")
            daemon.start()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                assert set(mail.rows()) == {"fresh"}
                assert set(mail.rows("caller")) == {"fresh", "caller", "idle-sender"}
                mail.check("idle")
                assert "idle" in mail.rows()

    def test_zero_hides_nobody(self) -> None:
        """The age limit is off."""
        with DaemonProcess({"hideAfterMinutes": 0, "deleteAfterMinutes": 0}) as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                mail.check("old")
            daemon.stop()
            let_time_pass(daemon, 10**6, "old")
            daemon.start()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                assert "old" in mail.rows()


class TestNewNames:
    """What a new mailbox may be called; those of older versions go on to work."""

    @pytest.mark.parametrize("name", ["a;b", 'a"b', "User", "claude-mailbox", "-x", "🙂"])
    def test_are_refused_wherever_they_would_be_made(
        self, mail: Mail, fresh: Fresh, name: str
    ) -> None:
        """400, and nothing is stored."""
        me = mail.register(fresh("me"))
        header: dict[str, str | bytes] = {"X-Mailbox": name.encode()}
        content = {"to": name, "body": "x"}
        for reply in (
            mail.request("POST", "/v1/send", me, content=content),
            mail.request("POST", "/v1/rename", me, content={"to": name}),
            mail.request("GET", "/v1/list", headers=header),
            mail.request("GET", path("/v1/watch", name=name, timeout=0), headers=header),
            mail.request("POST", "/v1/send", content={"to": me, "body": "x"}, headers=header),
        ):
            reply.error(400, "invalid-name")

        assert name not in mail.rows()

    def test_a_group_is_no_mailbox(self, mail: Mail, fresh: Fresh) -> None:
        """Nobody can be one, though all can write to one."""
        me = mail.register(fresh("me"))
        header: dict[str, str | bytes] = {"X-Mailbox": "@all"}
        for reply in (
            mail.request("POST", "/v1/rename", me, content={"to": "@all"}),
            mail.request("GET", "/v1/list", headers=header),
            mail.request("POST", "/v1/send", content={"to": me, "body": "x"}, headers=header),
        ):
            reply.error(400, "invalid-name")
        assert mail.peek(me)["pending"] == 0

    def test_have_one_form(self, mail: Mail, fresh: Fresh) -> None:
        """However an accent is written, it is the same mailbox."""
        name = fresh("caf\u00e9")
        mail.send("peer", name.replace("\u00e9", "e\u0301"))

        assert mail.rows()[name]["pending"] == 1

    @pytest.mark.parametrize("name", ["bob;touch x #", "🙂", "User", "@old"])
    def test_older_ones_go_on_to_work(self, name: str) -> None:
        """They were made when there was no such rule."""
        with DaemonProcess() as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                mail.send("peer", "made-before", "from before")
            daemon.stop()
            database = sqlite3.connect(daemon.database)
            with database:
                database.execute("UPDATE mailbox SET name = ? WHERE name = 'made-before'", [name])
            database.close()
            daemon.start()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                header: dict[str, str | bytes] = {"X-Mailbox": name.encode()}
                mail.send("peer", name, "from now")
                reply = mail.request("POST", path("/v1/check-inbox", name=name), headers=header)
                assert [each["body"] for each in reply.json()] == ["from before", "from now"]
                content = {"to": "modern"}
                reply = mail.request("POST", "/v1/rename", content=content, headers=header)
                assert reply.status == 200
                assert mail.send("peer", name)["to"] == "modern"
                assert mail.rename("modern", name)["messagesTransferred"] == 1


class TestRename:
    """``POST /v1/rename``"""

    def test_mail_moves_along(self, mail: Mail, fresh: Fresh) -> None:
        """The answer counts it, leased messages included; the order stays."""
        old, new = fresh("old"), fresh("new")
        for number in range(3):
            mail.send("sender", old, str(number))
        (leased,) = mail.check(old, limit=1, lease=60)

        assert mail.rename(old, new) == {"from": old, "to": new, "messagesTransferred": 3}

        mail.outcome("release", new, leased["lease"])
        assert mail.bodies(new) == ["0", "1", "2"]

    def test_the_old_name_is_gone_from_the_list(self, mail: Mail, fresh: Fresh) -> None:
        """The mailbox is one, and has one name."""
        old, new = fresh("old"), fresh("new")
        mail.check(old)
        mail.rename(old, new)

        rows = mail.rows()

        assert new in rows
        assert old not in rows

    def test_a_mailbox_that_never_existed(self, mail: Mail, fresh: Fresh) -> None:
        """404: most likely the name is mistyped; neither name is a mailbox then."""
        old, new = fresh("old"), fresh("new")

        reply = mail.request("POST", "/v1/rename", old, content={"to": new})

        assert f"There is no mailbox '{old}'" in reply.error(404, "not-found")
        assert not {old, new} & set(mail.rows())

    def test_the_old_name_forwards(self, mail: Mail, fresh: Fresh) -> None:
        old, new = mail.register(fresh("old")), fresh("new")

        assert mail.rename(old, new)["messagesTransferred"] == 0
        assert mail.send("sender", old)["forwardedFrom"] == old

    def test_the_new_name_is_trimmed(self, mail: Mail, fresh: Fresh) -> None:
        """As every name."""
        old, new = mail.register(fresh("old")), fresh("new")

        assert mail.rename(old, f" {new} ")["to"] == new

    def test_a_taken_name(self, mail: Mail, fresh: Fresh) -> None:
        """409, and nothing changes."""
        mine, taken = fresh("mine"), fresh("taken")
        mail.send("sender", mine)
        mail.check(taken)

        reply = mail.request("POST", "/v1/rename", mine, content={"to": taken})

        assert taken in reply.error(409, "target-exists")
        assert mail.bodies(mine) == ["hello"]

    def test_a_name_that_was_only_written_to(self, mail: Mail, fresh: Fresh) -> None:
        """It has mail that is not ours."""
        mine, taken = mail.register(fresh("mine")), fresh("taken")
        mail.send("sender", taken)

        mail.request("POST", "/v1/rename", mine, content={"to": taken}).error(409, "target-exists")

    def test_somebody_elses_former_name(self, mail: Mail, fresh: Fresh) -> None:
        """Mail to it is forwarded, so it is taken; the sentence says to whom."""
        old, new, mine = mail.register(fresh("old")), fresh("new"), mail.register(fresh("mine"))
        mail.rename(old, new)

        reply = mail.request("POST", "/v1/rename", mine, content={"to": old})

        assert new in reply.error(409, "target-exists")

    def test_the_way_back(self, mail: Mail, fresh: Fresh) -> None:
        """Its own former name a mailbox may take again."""
        old, new = mail.register(fresh("old")), fresh("new")
        mail.rename(old, new)
        mail.send("sender", old, "forwarded")

        assert mail.rename(new, old) == {"from": new, "to": old, "messagesTransferred": 1}

        assert mail.bodies(old) == ["forwarded"]
        assert mail.send("sender", new)["forwardedFrom"] == new
        assert mail.bodies(old) == ["hello"]

    def test_a_chain_of_names(self, mail: Mail, fresh: Fresh) -> None:
        """All former names forward, in one step."""
        names = [fresh("name") for _ in range(5)]
        mail.register(names[0])
        for current, to in itertools.pairwise(names):
            mail.rename(current, to)

        receipts = [mail.send("sender", name, name) for name in names]

        assert {receipt["to"] for receipt in receipts} == {names[-1]}
        assert [receipt.get("forwardedFrom") for receipt in receipts] == [*names[:-1], None]
        assert mail.bodies(names[-1]) == names

    @pytest.mark.parametrize("to", ["", " ", None, True, "a\nb", "x" * 129, "\ud800"])
    def test_no_new_name(self, mail: Mail, fresh: Fresh, to: object) -> None:
        """400 names the field."""
        reply = mail.request("POST", "/v1/rename", fresh("me"), content={"to": to})

        assert "'to'" in reply.error(400, "invalid-name")

    def test_the_same_name(self, mail: Mail, fresh: Fresh) -> None:
        """It would leave an alias to itself."""
        name = mail.register(fresh("me"))

        reply = mail.request("POST", "/v1/rename", name, content={"to": name})

        assert name in reply.error(400, "bad-request")

    def test_no_header(self, mail: Mail) -> None:
        """400."""
        reply = mail.request("POST", "/v1/rename", content={"to": "x"})

        assert "X-Mailbox" in reply.error(400, "bad-request")

    def test_messages_show_the_present_name(self, mail: Mail, fresh: Fresh) -> None:
        """So that an answer to ``from`` arrives without a detour."""
        old, new, me = fresh("old"), fresh("new"), fresh("me")
        mail.send(old, me)
        mail.rename(old, new)

        assert mail.check(me)[0]["from"] == new

    def test_two_that_want_the_same_name(self, connect: Connect, fresh: Fresh) -> None:
        """One gets it, at any number of attempts at once."""
        to = fresh("wanted")
        rivals = {fresh("rival"): connect() for _ in range(10)}
        for name, mail in rivals.items():
            mail.register(name)
        for name, mail in rivals.items():
            mail.start("POST", "/v1/rename", name, content={"to": to})

        statuses = sorted(mail.read().status for mail in rivals.values())

        assert statuses == [200] + [409] * 9


class TestFormerNames:
    """Everywhere but in ``watch`` a former name stands for the present one."""

    @pytest.fixture
    def names(self, mail: Mail, fresh: Fresh) -> tuple[str, str]:
        """A former name, and the present one."""
        old, new = mail.register(fresh("old")), fresh("new")
        mail.rename(old, new)
        return old, new

    def test_as_sender(self, mail: Mail, fresh: Fresh, names: tuple[str, str]) -> None:
        """The receipt and the message say the present name."""
        old, new = names
        to = fresh("to")

        assert mail.send(old, to)["from"] == new
        assert mail.check(to)[0]["from"] == new

    @pytest.mark.parametrize("header", [0, 1])
    @pytest.mark.parametrize("parameter", [0, 1])
    def test_in_check_inbox(
        self, mail: Mail, names: tuple[str, str], header: int, parameter: int
    ) -> None:
        """In the header, in ``name``, in both or mixed."""
        mail.send("sender", names[1], "mine")
        target = path("/v1/check-inbox", name=names[parameter])

        reply = mail.request("POST", target, names[header])

        assert [message["body"] for message in reply.json()] == ["mine"]

    def test_in_peek(self, mail: Mail, names: tuple[str, str]) -> None:
        """The same mailbox."""
        mail.send("sender", names[1])

        assert mail.peek(names[0])["pending"] == 1

    def test_in_list(self, mail: Mail, names: tuple[str, str]) -> None:
        """The caller is the present one, and the only one."""
        old, new = names
        mail.send("sender", new)

        rows = mail.rows(old)

        assert rows["sender"]["pendingForYou"] == 1
        assert new in rows
        assert old not in rows

    def test_in_rename(self, mail: Mail, fresh: Fresh, names: tuple[str, str]) -> None:
        """What is renamed is the mailbox, whatever it was called."""
        old, new = names
        third = fresh("third")

        assert mail.rename(old, third) == {"from": new, "to": third, "messagesTransferred": 0}

    def test_in_delete(self, mail: Mail, names: tuple[str, str]) -> None:
        """The mailbox goes, with all its names."""
        old, new = names

        assert mail.delete(old) is True
        assert new not in mail.rows()
        assert mail.send("sender", old)["to"] == old

    @pytest.mark.parametrize("header", [0, 1])
    def test_watch_says_renamed_at_once(
        self, mail: Mail, names: tuple[str, str], header: int
    ) -> None:
        """Even when mail waits: the watcher has to know its name."""
        old, new = names
        mail.send("sender", new)

        reply = mail.request("GET", path("/v1/watch", name=old, timeout=60), names[header])

        sentence = reply.error(409, "renamed")
        assert reply.json()["to"] == new
        assert new in sentence
        assert mail.peek(new)["pending"] == 1

    @pytest.mark.parametrize("header", [0, 1])
    def test_watch_under_the_present_name(
        self, mail: Mail, names: tuple[str, str], header: int
    ) -> None:
        """The header may still be the former one."""
        mail.send("sender", names[1])

        reply = mail.request("GET", path("/v1/watch", name=names[1]), names[header])

        assert reply.status == 200

    def test_they_never_make_a_new_mailbox(self, mail: Mail, names: tuple[str, str]) -> None:
        """Whatever is asked under them."""
        old, new = names
        mail.check(old)
        mail.send(old, old)
        mail.request("GET", "/health", old)

        assert old not in mail.rows()
        assert mail.peek(new)["pending"] == 1

    def test_they_outlive_the_daemon(self) -> None:
        """Aliases are kept on disk."""
        with DaemonProcess() as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                mail.rename(mail.register("old"), "new")
            daemon.restart()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                assert mail.send("sender", "old")["forwardedFrom"] == "old"
                mail.request("GET", "/v1/watch?name=old", "old").error(409, "renamed")


class TestDelete:
    """``DELETE /v1/mailbox`` and the sweeper: only when nothing pends in either direction."""

    def test_an_empty_mailbox(self, mail: Mail, fresh: Fresh) -> None:
        """It is gone, and the request itself did not bring it back."""
        name = fresh("me")
        mail.check(name)

        assert mail.delete(name) is True
        assert name not in mail.rows()
        assert mail.delete(name) is False
        assert name not in mail.rows()

    def test_mail_waits_in_it(self, mail: Mail, fresh: Fresh) -> None:
        """It stays until that is read."""
        name = fresh("me")
        mail.send("sender", name)

        assert mail.delete(name) is False
        assert mail.bodies(name) == ["hello"]
        assert mail.delete(name) is True

    def test_mail_from_it_waits_elsewhere(self, mail: Mail, fresh: Fresh) -> None:
        """Somebody may want to answer."""
        name, to = fresh("me"), fresh("to")
        mail.send(name, to)

        assert mail.delete(name) is False
        mail.check(to)
        assert mail.delete(name) is True

    def test_mail_is_leased(self, mail: Mail, fresh: Fresh) -> None:
        """It may come back."""
        name = fresh("me")
        mail.send("sender", name)
        (message,) = mail.check(name, lease=60)

        assert mail.delete(name) is False
        mail.outcome("ack", name, message["lease"])
        assert mail.delete(name) is True

    def test_a_deleted_name_is_free(self, mail: Mail, fresh: Fresh) -> None:
        """For anybody, and without the past."""
        name, mine = fresh("name"), mail.register(fresh("mine"))
        mail.check(name)
        mail.delete(name)

        assert mail.rename(mine, name)["to"] == name
        assert mail.send("sender", mine)["forwardedFrom"] == mine

    def test_it_comes_back_when_used(self, mail: Mail, fresh: Fresh) -> None:
        """The next request with the name registers it again."""
        name = fresh("me")
        mail.check(name)
        mail.delete(name)
        mail.check(name)

        assert name in mail.rows()

    def test_while_somebody_watches(self, connect: Connect, fresh: Fresh) -> None:
        """The watcher goes on waiting, and gets what is sent to that name."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        watcher.start_watch(name)
        mail.wait_for_waiters(1)

        assert mail.delete(name) is True
        mail.send("sender", name)

        assert watcher.read().json()["body"] == "hello"

    def test_the_sweeper_deletes_the_stale(self) -> None:
        """Unused for ``deleteAfterMinutes``, and nothing pends."""
        with DaemonProcess({"deleteAfterMinutes": 10, "hideAfterMinutes": 0}) as daemon:
            stale = ["stale", "sender", "receiver", "written-to"]
            with Mail(("127.0.0.1", daemon.port)) as mail:
                for name in [*stale[:3], "used"]:
                    mail.check(name)
                mail.send("sender", "receiver")
                mail.send("used", "written-to")
            daemon.stop()
            let_time_pass(daemon, 9, "used")
            let_time_pass(daemon, 11, *stale)
            daemon.start()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                while "stale" in mail.rows():
                    pass
                assert set(mail.rows()) == {"sender", "receiver", "written-to", "used"}
                assert mail.bodies("receiver") == ["hello"]
