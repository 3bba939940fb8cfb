"""Sessions write to each other, and keep their mailboxes."""

from e2e.conftest import Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.plugin import Plugin
from e2e.harness.waiting import eventually


class TestTwoSessions:
    def test_exchange_messages_without_giving_their_names(
        self, sessions: Sessions, mail: Mail, plugin: Plugin
    ) -> None:
        """The daemon knows which session calls a tool; the sessions name only the receiver."""
        mail.start()

        def first(request: Request) -> Text | ToolCall:
            if "Greet the other one." in request.news:
                return call("mailbox__send", to=beta.name, body="ping over there")
            return say("All right.")

        def second(request: Request) -> Text | ToolCall:
            if "ping over there" in request.news:
                return call("mailbox__send", to=alpha.name, body="pong over here")
            return say("All right.")

        alpha = sessions.start_peer(first, plugin, project="alpha")
        beta = sessions.start_peer(second, plugin, project="beta")
        alpha.session.enter("Greet the other one.")
        assert alpha.name in beta.model.wait_for("ping over there").news
        assert beta.name in alpha.model.wait_for("pong over here").news
        alpha.session.wait_idle()
        beta.session.wait_idle()
        alpha.assert_read_once("pong over here")
        beta.assert_read_once("ping over there")

    def test_are_told_about_each_other_at_the_start(self, sessions: Sessions, mail: Mail) -> None:
        """A session gets its own name and those of its peers before the first prompt."""
        mail.start()
        alpha = sessions.start_peer(quiet, project="alpha")
        beta = sessions.start_peer(quiet, project="beta")
        beta.session.ask("Hello")
        assert beta.name in beta.model.requests[0].news
        assert alpha.name in beta.model.requests[0].news

    def test_cannot_send_as_each_other(self, sessions: Sessions, mail: Mail) -> None:
        """A session that gives the name of another gets an error, and nothing is sent."""
        mail.start()
        alpha = sessions.start_peer(quiet, project="alpha")

        def forger(request: Request) -> Text | ToolCall:
            if "Use another name." in request.news:
                sender = {"from": alpha.name}
                return call("mailbox__send", to=alpha.name, body="forged", **sender)
            return say("All right.")

        beta = sessions.start_peer(forger, project="beta")
        beta.session.ask("Use another name.")
        assert beta.name in beta.model.requests[-1].news
        assert mail.pending(alpha.name) == 0


class TestName:
    def test_survives_clear(self, sessions: Sessions, mail: Mail) -> None:
        """After /clear the new conversation has the same mailbox, mail and doorbell."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.enter("/clear")
        peer.session.ask("Hello again")
        fresh = peer.model.requests[-1]
        assert fresh.session != peer.session.id
        assert peer.name in fresh.history
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_survives_compaction(self, sessions: Sessions, mail: Mail) -> None:
        """After /compact the model still has the name, and mail still wakes it."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.enter("/compact")
        peer.session.ask("Hello again")
        assert peer.name in peer.model.requests[-1].history
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_can_be_changed(self, sessions: Sessions, mail: Mail) -> None:
        """A renamed mailbox gets mail under its old and new name, also after /clear."""
        mail.start()

        def script(request: Request) -> Text | ToolCall:
            if "Call yourself frontend." in request.news:
                return call("mailbox__rename", new_name="frontend")
            return say("All right.")

        peer = sessions.start_peer(script)
        former = peer.name
        peer.session.ask("Call yourself frontend.")
        peer.name = "frontend"
        for to, body in (("frontend", "to the new name"), (former, "to the old name")):
            mail.send(to, body)
            peer.model.wait_for(body)
            peer.session.wait_idle()
        peer.assert_read_once("to the new name", "to the old name")
        peer.session.enter("/clear")
        peer.session.ask("Hello again")
        assert "frontend" in peer.model.requests[-1].history
        mail.send("frontend", "after the clearing")
        peer.model.wait_for("after the clearing")
        peer.session.wait_idle()
        peer.assert_read_once("after the clearing")

    def test_a_changed_name_is_kept_when_the_session_is_resumed(
        self, sessions: Sessions, mail: Mail
    ) -> None:
        """With the mail that came while the session was closed."""
        mail.start()

        def script(request: Request) -> Text | ToolCall:
            if "Call yourself frontend." in request.news:
                return call("mailbox__rename", new_name="frontend")
            return say("All right.")

        peer = sessions.start_peer(script)
        peer.session.ask("Call yourself frontend.")
        peer.session.exit()
        mail.send("frontend", "the build is green")
        again = sessions.start_peer(quiet, name="frontend", resume=peer.session.id)
        again.session.ask("Hello again")
        assert "frontend" in again.model.requests[0].history
        again.assert_read_once("the build is green")

    def test_the_mailbox_is_deleted_after_a_session_without_mail(
        self, sessions: Sessions, mail: Mail
    ) -> None:
        """If nothing is pending when the session ends."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        eventually(lambda: peer.name not in mail.names(), lambda: f"{peer.name} is still listed")


class TestCollaborate:
    def test_starts_a_background_watch_that_wakes_the_session(
        self, sessions: Sessions, mail: Mail
    ) -> None:
        """Its mail comes once, and not a second time by the doorbell."""
        mail.start()

        def script(request: Request) -> Text | ToolCall:
            if "watch --block" in request.news:
                watch = f"claude-mailbox watch --block --name {peer.name} --timeout 300"
                background = {"description": "Watch for mail", "run_in_background": True}
                return call("Bash", command=watch, **background)
            if "<status>completed" in request.news:
                output = request.news.partition("<output-file>")[2].partition("</output-file>")[0]
                return call("Read", file_path=output)
            return say("All right.")

        peer = sessions.start_peer(script)
        peer.session.ask("/claude-mailbox:collaborate")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")
