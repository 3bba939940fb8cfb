"""Sessions talk to each other: who they are, and that they stay who they are."""

from e2e.conftest import Cast
from e2e.harness.mail import Mail
from e2e.harness.messages import Call, Request, Say, call, quiet, say
from e2e.harness.plugin import Plugin
from e2e.harness.waiting import eventually


class TestTwoSessions:
    def test_exchange_messages_without_naming_themselves(
        self, cast: Cast, mail: Mail, plugin: Plugin
    ) -> None:
        """The tools know who calls; the sessions only name whom they write to."""
        mail.start()

        def first(request: Request) -> Say | Call:
            if "Greet the other one." in request.news:
                return call("mailbox__send", to=beta.name, body="ping over there")
            return say("All right.")

        def second(request: Request) -> Say | Call:
            if "ping over there" in request.news:
                return call("mailbox__send", to=alpha.name, body="pong over here")
            return say("All right.")

        alpha = cast.peer(first, plugin, project="alpha")
        beta = cast.peer(second, plugin, project="beta")
        alpha.session.enter("Greet the other one.")
        assert alpha.name in beta.model.wait_for("ping over there").news
        assert beta.name in alpha.model.wait_for("pong over here").news
        alpha.session.wait_idle()
        beta.session.wait_idle()
        alpha.assert_read_once("pong over here")
        beta.assert_read_once("ping over there")

    def test_know_of_each_other_from_the_start(self, cast: Cast, mail: Mail) -> None:
        """A session is told its own name and its peers' names before the first prompt."""
        mail.start()
        alpha = cast.peer(quiet, project="alpha")
        beta = cast.peer(quiet, project="beta")
        beta.session.ask("Hello")
        assert beta.name in beta.model.requests[0].news
        assert alpha.name in beta.model.requests[0].news

    def test_cannot_send_as_each_other(self, cast: Cast, mail: Mail) -> None:
        """A session that gives another's name as its own gets an error, and nothing is sent."""
        mail.start()
        alpha = cast.peer(quiet, project="alpha")

        def forger(request: Request) -> Say | Call:
            if "Pretend." in request.news:
                sender = {"from": alpha.name}
                return call("mailbox__send", to=alpha.name, body="believe me", **sender)
            return say("All right.")

        beta = cast.peer(forger, project="beta")
        beta.session.ask("Pretend.")
        assert beta.name in beta.model.requests[-1].news
        assert mail.pending(alpha.name) == 0


class TestName:
    def test_survives_clear(self, cast: Cast, mail: Mail) -> None:
        """After /clear the new conversation has the old mailbox, its mail and its doorbell."""
        mail.start()
        peer = cast.peer(quiet)
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

    def test_survives_compaction(self, cast: Cast, mail: Mail) -> None:
        """After /compact the model still knows its name, and mail still wakes it."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.enter("/compact")
        peer.session.ask("Hello again")
        assert peer.name in peer.model.requests[-1].history
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_may_change(self, cast: Cast, mail: Mail) -> None:
        """A renamed session is reached by its new name and by its old one, also after /clear."""
        mail.start()

        def script(request: Request) -> Say | Call:
            if "Call yourself frontend." in request.news:
                return call("mailbox__rename", new_name="frontend")
            return say("All right.")

        peer = cast.peer(script)
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

    def test_that_was_changed_outlives_the_session(self, cast: Cast, mail: Mail) -> None:
        """A renamed session that is left and resumed has its new name, and the mail to it."""
        mail.start()

        def script(request: Request) -> Say | Call:
            if "Call yourself frontend." in request.news:
                return call("mailbox__rename", new_name="frontend")
            return say("All right.")

        peer = cast.peer(script)
        peer.session.ask("Call yourself frontend.")
        peer.session.exit()
        mail.send("frontend", "the build is green")
        again = cast.peer(quiet, name="frontend", resume=peer.session.id)
        again.session.ask("Hello again")
        assert "frontend" in again.model.requests[0].history
        again.assert_read_once("the build is green")

    def test_of_a_session_that_got_no_mail_is_given_up(self, cast: Cast, mail: Mail) -> None:
        """A session that ends with nothing pending leaves no mailbox behind."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        eventually(lambda: peer.name not in mail.names(), lambda: f"{peer.name} is still listed")


class TestCollaborate:
    def test_starts_a_watcher_that_wakes_the_session(self, cast: Cast, mail: Mail) -> None:
        """The skill has the model start a background watcher; its mail comes once, not also by bell."""
        mail.start()

        def script(request: Request) -> Say | Call:
            if "watch --block" in request.news:
                watch = f"claude-mailbox watch --block --name {peer.name} --timeout 300"
                background = {"description": "Watch for mail", "run_in_background": True}
                return call("Bash", command=watch, **background)
            if "<status>completed" in request.news:
                output = request.news.partition("<output-file>")[2].partition("</output-file>")[0]
                return call("Read", file_path=output)
            return say("All right.")

        peer = cast.peer(script)
        peer.session.ask("/claude-mailbox:collaborate")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")
