"""Mail, tools and prompts while a session is closed or the daemon is down."""

import time

from e2e.conftest import Measure, Sessions
from e2e.harness.claude import Claude
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.plugin import FROM_FOLDER, mailbox_name
from e2e.harness.waiting import eventually


class TestClosedSession:
    def test_gets_its_mail_when_it_is_resumed(self, sessions: Sessions, mail: Mail) -> None:
        """All messages, in order."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "first while away")
        mail.send(peer.name, "second while away")
        again = sessions.start_peer(quiet, resume=peer.session.id)
        again.session.ask("Hello again")
        again.assert_read_once("first while away", "second while away")

    def test_a_killed_session_gets_its_mail_when_it_is_resumed(
        self, sessions: Sessions, claude: Claude, mail: Mail
    ) -> None:
        """No hook ran at its end."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        # The client saves the conversation a moment after it shows it.
        conversations = f".claude/projects/*/{peer.session.id}.jsonl"
        eventually(
            lambda: any(
                "All right." in path.read_text() for path in claude.home.glob(conversations)
            ),
            lambda: "there is no conversation to resume",
        )
        peer.session.kill()
        mail.send(peer.name, "while away")
        again = sessions.start_peer(quiet, resume=peer.session.id)
        again.session.ask("Hello again")
        again.assert_read_once("while away")

    def test_a_fork_leaves_the_mail_to_the_original(self, sessions: Sessions, mail: Mail) -> None:
        """A fork is another session, with a mailbox of its own."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "for the original")
        fork = sessions.start(
            quiet, *FROM_FOLDER.arguments, "--fork-session", resume=peer.session.id
        )
        fork.ask("Hello from the fork")
        own_name = mailbox_name("project", fork.model.requests[-1].session)
        assert own_name in fork.model.requests[-1].history
        assert mail.pending(peer.name) == 1


class TestDaemonDown:
    def test_a_session_starts_the_daemon(
        self, sessions: Sessions, mail: Mail, measure: Measure
    ) -> None:
        """Its tools work, and it gets the mail that is on disk."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "kept on disk")
        mail.kill()

        def script(request: Request) -> Text | ToolCall:
            if "Answer it." in request.news:
                return call("mailbox__send", to="outside", body="read and understood")
            return say("All right.")

        opened = time.monotonic()
        again = sessions.start_peer(script, resume=peer.session.id)
        measure("session opened with no daemon until it has a mailbox", time.monotonic() - opened)
        again.session.ask("Answer it.")
        assert mail.pending("outside") == 1
        again.assert_read_once("kept on disk")

    def test_a_session_continues_after_a_restart_of_the_daemon(
        self, sessions: Sessions, mail: Mail, measure: Measure
    ) -> None:
        """Its tools and its doorbell work again."""
        mail.start()

        def script(request: Request) -> Text | ToolCall:
            if "Write to" in request.news:
                return call("mailbox__send", to="outside", body=request.news)
            return say("All right.")

        peer = sessions.start_peer(script)
        peer.session.ask("Write to them once.")
        assert mail.pending("outside") == 1
        mail.kill()
        mail.start()
        peer.session.ask("Write to them again.")
        assert mail.pending("outside") == 2
        sent = time.monotonic()
        mail.send(peer.name, "the build is green")
        woken = peer.model.wait_for("the build is green")
        measure(
            "'send' called until the model has it, after a restart of the daemon", woken.at - sent
        )
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_prompts_are_answered_with_one_hint(
        self, sessions: Sessions, mail: Mail, measure: Measure
    ) -> None:
        """The hint says what to do."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        for state in ("with the daemon up", "with the daemon down"):
            asked = time.monotonic()
            peer.session.ask(f"Hello {state}")
            measure(f"prompt typed until answered, {state}", time.monotonic() - asked)
            mail.kill()
        said = [
            line
            for line in peer.model.requests[-1].news.splitlines()
            if "daemon is not running" in line
        ]
        shown = [
            line
            for line in peer.session.terminal.screen().splitlines()
            if "daemon is not running" in line
        ]
        assert len(said + shown) == 1

    def test_a_daemon_that_cannot_start_is_one_hint(self, sessions: Sessions, mail: Mail) -> None:
        """The session works, and gets no list of peers."""
        (mail.home / "mailbox.json").write_text('{"port": "broken"}')
        session = sessions.start(quiet, *FROM_FOLDER.arguments)
        session.ask("Hello")
        context = "SessionStart hook additional context: [Claude-Mailbox]"
        news = session.model.requests[0].news
        assert news.count(context) == 1
        assert "mailbox-doctor" in news.partition(context)[2].partition("\n")[0]
        assert session.terminal.screen().count("[Claude-Mailbox]") == 1
        assert mailbox_name("project", session.id) not in news


class TestOneShot:
    def test_is_not_delayed(
        self, sessions: Sessions, claude: Claude, mail: Mail, measure: Measure
    ) -> None:
        """``claude -p`` answers and exits with the plugin as without it."""
        mail.start()
        model = sessions.start_model(quiet)
        ways = {"without the plugin": (), "with it": FROM_FOLDER.arguments}
        for _ in range(3):
            for way, arguments in ways.items():
                began = time.monotonic()
                done = claude.run("-p", "Hello", *arguments, model=model)
                measure(f"claude -p {way}", time.monotonic() - began)
                assert (done.returncode, done.stdout.strip()) == (0, "All right.")

    def test_is_shown_waiting_mail(self, sessions: Sessions, claude: Claude, mail: Mail) -> None:
        """With its prompt, if it resumes a session that has mail."""
        mail.start()
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "the build is green")
        model = sessions.start_model(quiet)
        one_shot = ("-p", "Anything new?", "--resume", peer.session.id)
        claude.run(*one_shot, *FROM_FOLDER.arguments, model=model).check_returncode()
        assert model.requests[0].news.count("the build is green") == 1
        assert mail.pending(peer.name) == 0

    def test_loses_no_mail_that_comes_while_it_runs(
        self, sessions: Sessions, claude: Claude, mail: Mail
    ) -> None:
        """Mail that it was not shown still waits at its end."""
        mail.start()

        def script(request: Request) -> Text | ToolCall:
            if "slept" in request.news:
                return say("All right.")
            mail.send(mailbox_name("project", request.session), "the build is green")
            return call("Bash", command="sleep 3; echo slept", description="Sleep")

        model = sessions.start_model(script)
        done = claude.run("-p", "Sleep", *FROM_FOLDER.arguments, model=model)
        name = mailbox_name("project", model.requests[0].session)
        shown = model.requests[-1].history.count("the build is green")
        assert (done.returncode, shown + mail.pending(name)) == (0, 1)
