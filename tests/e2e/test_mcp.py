"""What the tools hand out reaches the model that it is for, whole."""

import json
import re
from typing import Any

from e2e.conftest import Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.waiting import eventually

ERRAND = {"subagent_type": "general-purpose", "description": "Errand", "prompt": "Do it."}


class TestSubagents:
    def test_leave_the_mail_of_the_main_conversation(self, sessions: Sessions, mail: Mail) -> None:
        """Whether they ask for it by name or not, and by both tools; it reaches the main one."""
        mail.start()
        asking: list[tuple[str, dict[str, Any]]] = [
            ("mailbox__check_inbox", {}),
            ("mailbox__watch", {"timeout": 1}),
        ]

        def script(request: Request) -> Text | ToolCall:
            if not request.agent:
                return call("Agent", **ERRAND) if "Run an agent." in request.news else say("Yes.")
            if "Do it." in request.news:
                mail.send(peer.name, "for the main conversation")
                asking.append(("mailbox__check_inbox", {"name": peer.name}))
            if not asking:
                return say("The agent is done")
            tool, arguments = asking.pop(0)
            return call(tool, **arguments)

        peer = sessions.start_peer(script)
        peer.session.ask("Run an agent.")
        peer.model.wait_for("The agent is done")
        peer.session.wait_idle()

        (last, *_) = [request for request in reversed(peer.model.requests) if request.agent]
        assert last.history.count("You are a subagent") == 3
        assert "for the main conversation\n" not in last.history
        peer.assert_read_once("  for the main conversation")

    def test_may_have_a_mailbox_of_their_own(self, sessions: Sessions, mail: Mail) -> None:
        """They write from it, and take from it what is answered."""
        mail.start()

        def script(request: Request) -> Text | ToolCall:
            own = f"{peer.name}/helper"
            if not request.agent:
                return call("Agent", **ERRAND) if "Run an agent." in request.news else say("Yes.")
            if "Do it." in request.news:
                return call("mailbox__send", to="outside", body="question", **{"from": own})
            if '"state":"queued"' in request.news:
                mail.send(own, "for the subagent")
                return call("mailbox__check_inbox", name=own)
            return say("The agent is done")

        peer = sessions.start_peer(script)
        peer.session.ask("Run an agent.")
        peer.model.wait_for("The agent is done")

        (last, *_) = [request for request in reversed(peer.model.requests) if request.agent]
        assert '"body":"for the subagent"' in last.history
        assert f"{peer.name}/helper: question" in mail.run("check", "--name", "outside")


class TestLongResults:
    def read_all(self, sessions: Sessions, mail: Mail) -> str:
        """Let a model call check_inbox as the results tell it, and return all that it was shown."""

        def script(request: Request) -> Text | ToolCall:
            following = re.search(r"call check_inbox with part (\d+) to go on", request.news)
            if following:
                return call("mailbox__check_inbox", part=int(following[1]))
            remaining = re.search(r'"remaining":(\d+)', request.news)
            if remaining and remaining[1] == "0":
                return say("That is all.")
            return call("mailbox__check_inbox")

        server = {"type": "http", "url": f"{mail.url}/mcp", "headers": {"X-Mailbox": "reader"}}
        configuration = json.dumps({"mcpServers": {"mailbox": server}})
        arguments = ("--mcp-config", configuration, "--allowedTools", "mcp__mailbox")
        session = sessions.start(script, *arguments)
        session.ask("Read your mail.")
        session.model.script = quiet
        return session.model.requests[-1].history

    def test_have_every_message_whole(self, sessions: Sessions, mail: Mail) -> None:
        """More messages than fit into one result: each is shown once, in order."""
        mail.start()
        bodies = [f"<{number}>{'漢x' * 1500}</{number}>" for number in range(40)]
        mail.send_burst("reader", bodies)

        history = self.read_all(sessions, mail)

        assert re.findall(r"<\d+>[漢x]+</\d+>", history) == bodies
        assert mail.pending("reader") == 0

    def test_have_every_part_of_a_long_message(self, sessions: Sessions, mail: Mail) -> None:
        """Longer than a result: the parts together are the message, and then it is delivered."""
        mail.start()
        body = "".join(f"<{number:06d}>" for number in range(20_000))
        mail.send_burst("reader", [body, "after it"])

        history = self.read_all(sessions, mail)

        parts = re.findall(r'"body":"([<>\d]+)"', history)
        assert len(parts) > 1
        assert "".join(parts) == body
        assert history.index('"part":1,') < history.index("after it")
        assert mail.pending("reader") == 0


class TestInbox:
    """The resource and the prompt, which a user of Claude Code types."""

    def shown_for(self, prompt: str, sessions: Sessions, mail: Mail) -> str:
        """Return what the model is shown when a user types *prompt* while mail waits."""
        mail.start()
        server = {"type": "http", "url": f"{mail.url}/mcp", "headers": {"X-Mailbox": "reader"}}
        configuration = json.dumps({"mcpServers": {"mailbox": server}})
        session = sessions.start(quiet, "--mcp-config", configuration)
        eventually(lambda: "reader" in mail.names(), lambda: "the client does not connect")
        session.ask("Hello")
        mail.send("reader", "the build is green")
        session.enter(prompt)
        eventually(lambda: len(session.model.requests) > 1, session.terminal.screen)
        session.wait_idle()
        return session.model.requests[-1].news

    def test_a_mention_shows_the_mail_and_takes_none(self, sessions: Sessions, mail: Mail) -> None:
        """The model has it with the prompt."""
        shown = self.shown_for("@mailbox:mailbox://inbox has what?", sessions, mail)

        assert '"body":"the build is green"' in shown
        assert mail.pending("reader") == 1

    def test_the_prompt_is_a_command(self, sessions: Sessions, mail: Mail) -> None:
        """It says what the model is to do."""
        shown = self.shown_for("/mcp__mailbox__mail", sessions, mail)

        assert "You have the mailbox 'reader', with 1 unread." in shown
        assert "the build is green" not in shown
