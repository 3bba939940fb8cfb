"""What a new mailbox may be called."""

import sqlite3

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.connection import path
from wire.mail import Mail


class TestNewNames:
    """What a new mailbox may be called; those of older versions go on to work."""

    @pytest.mark.parametrize("name", ["a;b", 'a"b', "User", "claude-mailbox", "-x", "🙂"])
    def test_a_forbidden_name_is_refused_wherever_it_would_be_made(
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

    def test_a_group_cannot_be_a_mailbox(self, mail: Mail, fresh: Fresh) -> None:
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

    def test_names_are_normalized(self, mail: Mail, fresh: Fresh) -> None:
        """However an accent is written, it is the same mailbox."""
        name = fresh("caf\u00e9")
        mail.send("peer", name.replace("\u00e9", "e\u0301"))

        assert mail.rows()[name]["pending"] == 1

    @pytest.mark.parametrize("name", ["bob;touch x #", "🙂", "User", "@old"])
    def test_older_names_still_work(self, name: str) -> None:
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
