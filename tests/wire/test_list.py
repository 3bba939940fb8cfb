"""``GET /v1/list``: which mailboxes there are."""

from support.daemon import DaemonProcess
from wire.ages import let_time_pass
from wire.conftest import Fresh
from wire.mail import Mail, is_now


class TestList:
    """``GET /v1/list``"""

    def test_a_row_has_all_fields(self, mail: Mail, fresh: Fresh) -> None:
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

    def test_a_mailbox_that_was_only_written_to_is_listed(self, mail: Mail, fresh: Fresh) -> None:
        """It is there, and nobody was seen in it."""
        name = fresh("nobody")
        mail.send("sender", name)

        assert mail.rows()[name]["lastSeenAt"] is None
        assert mail.rows()[name]["pending"] == 1

    def test_pending_for_caller_counts_mail_from_that_mailbox(
        self, mail: Mail, fresh: Fresh
    ) -> None:
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

    def test_the_caller_is_registered_and_listed(self, mail: Mail, fresh: Fresh) -> None:
        """Who asks with a name is in the answer."""
        name = fresh("me")

        assert name in mail.rows(name)

    def test_the_latest_seen_come_first(self, mail: Mail, fresh: Fresh) -> None:
        """The rows are sorted by presence."""
        first, second = fresh("first"), fresh("second")
        mail.check(first)
        mail.check(second)
        rows = mail.request("GET", "/v1/list").json()

        times = [row["lastSeenAt"] for row in rows if row["lastSeenAt"]]

        assert times == sorted(times, reverse=True)

    def test_idle_mailboxes_are_hidden(self) -> None:
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

    def test_with_zero_nobody_is_hidden(self) -> None:
        """The age limit is off."""
        with DaemonProcess({"hideAfterMinutes": 0, "deleteAfterMinutes": 0}) as daemon:
            with Mail(("127.0.0.1", daemon.port)) as mail:
                mail.check("old")
            daemon.stop()
            let_time_pass(daemon, 10**6, "old")
            daemon.start()
            with Mail(("127.0.0.1", daemon.port)) as mail:
                assert "old" in mail.rows()
