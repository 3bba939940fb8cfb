"""``POST /v1/rename``, and requests under a former name."""

import itertools

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.connection import path
from wire.mail import Mail


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

    def test_a_mailbox_that_never_existed_cannot_be_renamed(self, mail: Mail, fresh: Fresh) -> None:
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

    def test_a_taken_name_is_refused(self, mail: Mail, fresh: Fresh) -> None:
        """409, and nothing changes."""
        mine, taken = fresh("mine"), fresh("taken")
        mail.send("sender", mine)
        mail.check(taken)

        reply = mail.request("POST", "/v1/rename", mine, content={"to": taken})

        assert taken in reply.error(409, "target-exists")
        assert mail.bodies(mine) == ["hello"]

    def test_a_name_that_was_only_written_to_is_taken(self, mail: Mail, fresh: Fresh) -> None:
        """It has mail that is not ours."""
        mine, taken = mail.register(fresh("mine")), fresh("taken")
        mail.send("sender", taken)

        mail.request("POST", "/v1/rename", mine, content={"to": taken}).error(409, "target-exists")

    def test_the_former_name_of_another_mailbox_is_taken(self, mail: Mail, fresh: Fresh) -> None:
        """Mail to it is forwarded, so it is taken; the sentence says to whom."""
        old, new, mine = mail.register(fresh("old")), fresh("new"), mail.register(fresh("mine"))
        mail.rename(old, new)

        reply = mail.request("POST", "/v1/rename", mine, content={"to": old})

        assert new in reply.error(409, "target-exists")

    def test_a_mailbox_may_take_its_former_name_again(self, mail: Mail, fresh: Fresh) -> None:
        """Its own former name a mailbox may take again."""
        old, new = mail.register(fresh("old")), fresh("new")
        mail.rename(old, new)
        mail.send("sender", old, "forwarded")

        assert mail.rename(new, old) == {"from": new, "to": old, "messagesTransferred": 1}

        assert mail.bodies(old) == ["forwarded"]
        assert mail.send("sender", new)["forwardedFrom"] == new
        assert mail.bodies(old) == ["hello"]

    def test_all_former_names_forward(self, mail: Mail, fresh: Fresh) -> None:
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
    def test_a_malformed_new_name_is_refused(self, mail: Mail, fresh: Fresh, to: object) -> None:
        """400 names the field."""
        reply = mail.request("POST", "/v1/rename", fresh("me"), content={"to": to})

        assert "'to'" in reply.error(400, "invalid-name")

    def test_the_same_name_is_refused(self, mail: Mail, fresh: Fresh) -> None:
        """It would leave an alias to itself."""
        name = mail.register(fresh("me"))

        reply = mail.request("POST", "/v1/rename", name, content={"to": name})

        assert name in reply.error(400, "bad-request")

    def test_without_a_header_it_is_refused(self, mail: Mail) -> None:
        """400."""
        reply = mail.request("POST", "/v1/rename", content={"to": "x"})

        assert "X-Mailbox" in reply.error(400, "bad-request")

    def test_messages_show_the_present_name(self, mail: Mail, fresh: Fresh) -> None:
        """So that an answer to ``from`` arrives without a detour."""
        old, new, me = fresh("old"), fresh("new"), fresh("me")
        mail.send(old, me)
        mail.rename(old, new)

        assert mail.check(me)[0]["from"] == new

    def test_of_two_that_want_one_name_one_gets_it(self, connect: Connect, fresh: Fresh) -> None:
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

    def test_a_former_name_may_send(self, mail: Mail, fresh: Fresh, names: tuple[str, str]) -> None:
        """The receipt and the message say the present name."""
        old, new = names
        to = fresh("to")

        assert mail.send(old, to)["from"] == new
        assert mail.check(to)[0]["from"] == new

    @pytest.mark.parametrize("header", [0, 1])
    @pytest.mark.parametrize("parameter", [0, 1])
    def test_a_former_name_may_check_its_inbox(
        self, mail: Mail, names: tuple[str, str], header: int, parameter: int
    ) -> None:
        """In the header, in ``name``, in both or mixed."""
        mail.send("sender", names[1], "mine")
        target = path("/v1/check-inbox", name=names[parameter])

        reply = mail.request("POST", target, names[header])

        assert [message["body"] for message in reply.json()] == ["mine"]

    def test_a_former_name_may_be_peeked(self, mail: Mail, names: tuple[str, str]) -> None:
        """The same mailbox."""
        mail.send("sender", names[1])

        assert mail.peek(names[0])["pending"] == 1

    def test_a_former_name_is_listed_as_the_present_one(
        self, mail: Mail, names: tuple[str, str]
    ) -> None:
        """The caller is the present one, and the only one."""
        old, new = names
        mail.send("sender", new)

        rows = mail.rows(old)

        assert rows["sender"]["pendingForYou"] == 1
        assert new in rows
        assert old not in rows

    def test_a_former_name_may_be_renamed(
        self, mail: Mail, fresh: Fresh, names: tuple[str, str]
    ) -> None:
        """What is renamed is the mailbox, whatever it was called."""
        old, new = names
        third = fresh("third")

        assert mail.rename(old, third) == {"from": new, "to": third, "messagesTransferred": 0}

    def test_a_former_name_may_be_deleted(self, mail: Mail, names: tuple[str, str]) -> None:
        """The mailbox goes, with all its names."""
        old, new = names

        assert mail.delete(old) is True
        assert new not in mail.rows()
        assert mail.send("sender", old)["to"] == old

    @pytest.mark.parametrize("header", [0, 1])
    def test_a_watch_of_a_former_name_says_renamed_at_once(
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
    def test_a_watch_of_the_present_name_may_have_the_former_one_in_its_header(
        self, mail: Mail, names: tuple[str, str], header: int
    ) -> None:
        """The header may still be the former one."""
        mail.send("sender", names[1])

        reply = mail.request("GET", path("/v1/watch", name=names[1]), names[header])

        assert reply.status == 200

    def test_a_former_name_never_makes_a_new_mailbox(
        self, mail: Mail, names: tuple[str, str]
    ) -> None:
        """Whatever is asked under them."""
        old, new = names
        mail.check(old)
        mail.send(old, old)
        mail.request("GET", "/health", old)

        assert old not in mail.rows()
        assert mail.peek(new)["pending"] == 1

    def test_former_names_outlive_the_daemon(self) -> None:
        """Aliases are kept on disk."""
        with DaemonProcess() as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                mail.rename(mail.register("old"), "new")
            daemon.restart()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                assert mail.send("sender", "old")["forwardedFrom"] == "old"
                mail.request("GET", "/v1/watch?name=old", "old").error(409, "renamed")
