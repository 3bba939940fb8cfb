"""What comes of mail, tools and prompts when a session is closed or the daemon is away."""

import time

from e2e.conftest import Cast, Measure
from e2e.harness.claude import Claude
from e2e.harness.mail import Mail
from e2e.harness.messages import Call, Request, Say, call, quiet, say
from e2e.harness.plugin import FROM_FOLDER, mailbox_name
from e2e.harness.waiting import eventually


class TestClosedSession:
    def test_gets_at_its_next_start_what_came_meanwhile(self, cast: Cast, mail: Mail) -> None:
        """Mail to a session that was left waits until the session is resumed."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "first while away")
        mail.send(peer.name, "second while away")
        again = cast.peer(quiet, resume=peer.session.id)
        again.session.ask("Hello again")
        again.assert_read_once("first while away", "second while away")

    def test_that_was_killed_gets_its_mail_too(
        self, cast: Cast, claude: Claude, mail: Mail
    ) -> None:
        """A client that had no time to say goodbye finds its mailbox and its mail again."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        # The client writes its conversation a moment later than it shows it.
        conversations = f".claude/projects/*/{peer.session.id}.jsonl"
        eventually(
            lambda: any(
                "All right." in path.read_text() for path in claude.home.glob(conversations)
            ),
            lambda: "nothing to resume",
        )
        peer.session.kill()
        mail.send(peer.name, "while away")
        again = cast.peer(quiet, resume=peer.session.id)
        again.session.ask("Hello again")
        again.assert_read_once("while away")

    def test_that_was_forked_leaves_its_mail_to_the_original(self, cast: Cast, mail: Mail) -> None:
        """A fork is another session: it has a mailbox of its own."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "for the original")
        fork = cast.session(quiet, *FROM_FOLDER.arguments, "--fork-session", resume=peer.session.id)
        fork.ask("Hello from the fork")
        own_name = mailbox_name("project", fork.model.requests[-1].session)
        assert own_name in fork.model.requests[-1].history
        assert mail.pending(peer.name) == 1


class TestDaemonAway:
    def test_at_the_start_of_a_session_it_is_started(
        self, cast: Cast, mail: Mail, measure: Measure
    ) -> None:
        """A session brings the daemon up, has working tools, and gets what waited on disk."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "kept on disk")
        mail.kill()

        def script(request: Request) -> Say | Call:
            if "Answer it." in request.news:
                return call("mailbox__send", to="outside", body="read and understood")
            return say("All right.")

        opened = time.monotonic()
        again = cast.peer(script, resume=peer.session.id)
        measure("session opened with no daemon until it has a mailbox", time.monotonic() - opened)
        again.session.ask("Answer it.")
        assert mail.pending("outside") == 1
        again.assert_read_once("kept on disk")

    def test_that_is_killed_and_comes_back_is_hardly_noticed(
        self, cast: Cast, mail: Mail, measure: Measure
    ) -> None:
        """Tools and doorbell of an open session work again once the daemon is back."""
        mail.start()

        def script(request: Request) -> Say | Call:
            if "Write to" in request.news:
                return call("mailbox__send", to="outside", body=request.news)
            return say("All right.")

        peer = cast.peer(script)
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

    def test_prompts_go_on_with_one_line_about_it(
        self, cast: Cast, mail: Mail, measure: Measure
    ) -> None:
        """While the daemon is down each prompt is answered, and one line says what to do."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        for state in ("with the daemon up", "with the daemon down"):
            asked = time.monotonic()
            peer.session.ask(f"Hello {state}")
            measure(f"prompt typed until answered, {state}", time.monotonic() - asked)
            mail.kill()
        said = [line for line in peer.model.requests[-1].news.splitlines() if "daemon runs" in line]
        shown = [
            line for line in peer.session.terminal.screen().splitlines() if "daemon runs" in line
        ]
        assert len(said + shown) == 1

    def test_that_cannot_start_gives_one_hint(self, cast: Cast, mail: Mail) -> None:
        """A session without a possible daemon works, and is told so once, with no list of peers."""
        (mail.home / "mailbox.json").write_text('{"port": "broken"}')
        session = cast.session(quiet, *FROM_FOLDER.arguments)
        session.ask("Hello")
        told = "SessionStart hook additional context: [Claude-Mailbox]"
        news = session.model.requests[0].news
        assert news.count(told) == 1
        assert "mailbox-doctor" in news.partition(told)[2].partition("\n")[0]
        assert session.terminal.screen().count("[Claude-Mailbox]") == 1
        assert mailbox_name("project", session.id) not in news


class TestOneShot:
    def test_is_not_held_up(self, cast: Cast, claude: Claude, mail: Mail, measure: Measure) -> None:
        """``claude -p`` with the plugin answers and exits like one without it."""
        mail.start()
        model = cast.model(quiet)
        kinds = {"without the plugin": (), "with it": FROM_FOLDER.arguments}
        for _ in range(3):
            for kind, arguments in kinds.items():
                begun = time.monotonic()
                done = claude.run("-p", "Hello", *arguments, model=model)
                measure(f"claude -p {kind}", time.monotonic() - begun)
                assert (done.returncode, done.stdout.strip()) == (0, "All right.")

    def test_is_shown_what_waits_for_it(self, cast: Cast, claude: Claude, mail: Mail) -> None:
        """A one-shot run of a session that has mail reads it with its prompt."""
        mail.start()
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.exit()
        mail.send(peer.name, "the build is green")
        model = cast.model(quiet)
        one_shot = ("-p", "Anything new?", "--resume", peer.session.id)
        claude.run(*one_shot, *FROM_FOLDER.arguments, model=model).check_returncode()
        assert model.requests[0].news.count("the build is green") == 1
        assert mail.pending(peer.name) == 0

    def test_loses_no_mail_that_comes_while_it_runs(
        self, cast: Cast, claude: Claude, mail: Mail
    ) -> None:
        """What a one-shot run was not shown still waits when it has ended."""
        mail.start()

        def script(request: Request) -> Say | Call:
            if "slept well" in request.news:
                return say("All right.")
            mail.send(mailbox_name("project", request.session), "the build is green")
            return call("Bash", command="sleep 3; echo slept well", description="Sleep")

        model = cast.model(script)
        done = claude.run("-p", "Sleep", *FROM_FOLDER.arguments, model=model)
        name = mailbox_name("project", model.requests[0].session)
        shown = model.requests[-1].history.count("the build is green")
        assert (done.returncode, shown + mail.pending(name)) == (0, 1)
