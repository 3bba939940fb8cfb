"""``DELETE /v1/mailbox``, and the deletion of unused mailboxes."""

from support.daemon import DaemonProcess
from wire.ages import let_time_pass
from wire.conftest import Connect, Fresh
from wire.mail import Mail


class TestDelete:
    """``DELETE /v1/mailbox`` and the sweeper: only when nothing pends in either direction."""

    def test_an_empty_mailbox_is_deleted(self, mail: Mail, fresh: Fresh) -> None:
        """It is gone, and the request itself did not bring it back."""
        name = fresh("me")
        mail.check(name)

        assert mail.delete(name) is True
        assert name not in mail.rows()
        assert mail.delete(name) is False
        assert name not in mail.rows()

    def test_a_mailbox_with_waiting_mail_stays(self, mail: Mail, fresh: Fresh) -> None:
        """It stays until that is read."""
        name = fresh("me")
        mail.send("sender", name)

        assert mail.delete(name) is False
        assert mail.bodies(name) == ["hello"]
        assert mail.delete(name) is True

    def test_a_mailbox_whose_mail_waits_elsewhere_stays(self, mail: Mail, fresh: Fresh) -> None:
        """Somebody may want to answer."""
        name, to = fresh("me"), fresh("to")
        mail.send(name, to)

        assert mail.delete(name) is False
        mail.check(to)
        assert mail.delete(name) is True

    def test_a_mailbox_with_leased_mail_stays(self, mail: Mail, fresh: Fresh) -> None:
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

    def test_a_deleted_mailbox_comes_back_when_used(self, mail: Mail, fresh: Fresh) -> None:
        """The next request with the name registers it again."""
        name = fresh("me")
        mail.check(name)
        mail.delete(name)
        mail.check(name)

        assert name in mail.rows()

    def test_a_watcher_of_a_deleted_mailbox_goes_on_waiting(
        self, connect: Connect, fresh: Fresh
    ) -> None:
        """The watcher goes on waiting, and gets what is sent to that name."""
        name = fresh("me")
        mail, watcher = connect(), connect()
        watcher.start_watch(name)
        mail.wait_for_waiters(1)

        assert mail.delete(name) is True
        mail.send("sender", name)

        assert watcher.read().json()["body"] == "hello"

    def test_unused_mailboxes_are_deleted(self) -> None:
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
