"""Mail reaches the model without a prompt."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from e2e.conftest import Measure, Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.plugin import FROM_FOLDER, Plugin
from e2e.harness.toy_plugin import hook_output, shell, write_plugin
from e2e.harness.waiting import eventually


@pytest.fixture(autouse=True)
def _running(mail: Mail) -> None:
    mail.start()


class TestIdleSession:
    def test_is_woken(
        self, mail: Mail, sessions: Sessions, plugin: Plugin, measure: Measure
    ) -> None:
        """Each message starts a turn."""
        peer = sessions.start_peer(quiet, plugin)
        peer.session.ask("Hello")
        for body in ("the build is green", "the build is red"):
            sent = time.monotonic()
            mail.send(peer.name, body)
            woken = peer.model.wait_for(body)
            measure("'send' called until the idle model has the message", woken.at - sent)
            assert "outside" in woken.news
            peer.session.wait_idle()
        peer.assert_read_once("the build is green", "the build is red")

    def test_is_woken_before_its_first_prompt(self, mail: Mail, sessions: Sessions) -> None:
        """However early the mail comes."""
        peer = sessions.start_peer(quiet)
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_is_woken_in_bypass_mode(self, mail: Mail, sessions: Sessions) -> None:
        """Without permission checks."""
        peer = sessions.start_peer(quiet, mode="bypassPermissions")
        peer.session.ask("Hello")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_is_woken_if_another_plugin_replaces_the_watched_files(
        self, folder: Path, mail: Mail, sessions: Sessions
    ) -> None:
        """Our hook returns the doorbell each time."""
        other_hook = shell(hook_output("FileChanged", watchPaths=[str(folder / "else")]))
        other = write_plugin(folder, "other", {"FileChanged": other_hook})
        both = Plugin((*FROM_FOLDER.loading, "--plugin-dir", str(other)))
        peer = sessions.start_peer(quiet, both)
        peer.session.ask("Hello")
        bodies = [f"message {number} of 3" for number in (1, 2, 3)]
        for body in bodies:
            mail.send(peer.name, body)
            peer.model.wait_for(body)
            peer.session.wait_idle()
        peer.assert_read_once(*bodies)

    def test_is_woken_after_its_folder_changed(self, mail: Mail, sessions: Sessions) -> None:
        """A `cd` in a tool call changes neither the mailbox nor the doorbell."""

        def script(request: Request) -> Text | ToolCall:
            if "Go down." in request.news:
                return call("Bash", command="mkdir -p deeper && cd deeper", description="Go")
            return say("All right.")

        peer = sessions.start_peer(script)
        peer.session.ask("Go down.")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_keeps_the_draft_of_a_prompt(self, mail: Mail, sessions: Sessions) -> None:
        """What the user has typed is still there after the wake-up."""
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        peer.session.terminal.type("half a thou")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        assert "half a thou" in peer.session.terminal.screen()


class TestBusySession:
    def test_gets_mail_between_two_tool_calls(
        self, folder: Path, mail: Mail, sessions: Sessions, measure: Measure
    ) -> None:
        """Mail that comes while a tool runs reaches the model in the same turn.

        After this tool call or, if the hook has not finished by then, after the next one.
        """
        pipe = folder / "pipe"
        os.mkfifo(pipe)

        def script(request: Request) -> Text | ToolCall:
            if "Read the pipe." in request.news:
                return call("Bash", command=f"cat {pipe}", description="Wait")
            if "pipe was written" in request.news:
                return call("Bash", command="echo went through", description="Go on")
            return say("All right.")

        peer = sessions.start_peer(script)
        peer.session.ask("Hello")
        peer.session.enter("Read the pipe.")
        with open_when_read(pipe) as tool:
            sent = time.monotonic()
            mail.send(peer.name, "the build is red")
            mail.wait_until_taken(peer.name)
            measure(
                "'send' called until a busy session has taken the message", time.monotonic() - sent
            )
            tool.write("the pipe was written")
        news = peer.model.wait_for("the build is red").news
        assert "the pipe was written" in news or "went through" in news
        peer.model.wait_for("went through")
        peer.session.wait_idle()
        peer.assert_read_once("the build is red")


def open_when_read(pipe: Path) -> TextIO:
    """Open a pipe for writing when a reader has opened it: then the tool call runs."""

    def attempt() -> TextIO | None:
        with suppress(OSError):
            return open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")
        return None

    return eventually(attempt, lambda: "the tool call does not run")


class TestBurst:
    def test_needs_few_turns_and_keeps_its_order(
        self, mail: Mail, sessions: Sessions, measure: Measure
    ) -> None:
        """Twenty messages make fewer than twenty turns, and none comes twice."""
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        bodies = [f"message {number:02} of 20" for number in range(1, 21)]
        sent = time.monotonic()
        mail.send_burst(peer.name, bodies)
        last = peer.model.wait_for(bodies[-1])
        measure("burst of 20 sent until the model has the last one", last.at - sent)
        peer.session.wait_idle()
        with_mail = [request for request in peer.model.requests if "of 20" in request.news]
        assert len(with_mail) < len(bodies)
        peer.assert_read_once(*bodies)

    def test_mail_that_is_too_long_for_one_hook_is_fetched(
        self, mail: Mail, sessions: Sessions
    ) -> None:
        """The hook shows whole messages, and the model fetches the rest."""

        def script(request: Request) -> Text | ToolCall:
            return (
                call("mailbox__check_inbox") if "did not fit" in request.news else say("All right.")
            )

        peer = sessions.start_peer(script)
        peer.session.ask("Hello")
        bodies = [f"begin {number} {'x' * 3000} end {number}" for number in range(8)]
        mail.send_burst(peer.name, bodies)
        peer.model.wait_for("end 7")
        peer.session.wait_idle()
        peer.assert_read_once(*bodies)


class TestSubagent:
    def test_does_not_get_mail_of_its_session(self, mail: Mail, sessions: Sessions) -> None:
        """Mail that waits when it ends goes to the main conversation."""

        def script(request: Request) -> Text | ToolCall:
            if request.agent:
                mail.send(peer.name, "the build is green")
                return say("The agent is done")
            if "Run an agent." in request.news:
                options = {"description": "Errand", "prompt": "Go."}
                return call("Agent", subagent_type="general-purpose", **options)
            return say("All right.")

        peer = sessions.start_peer(script)
        peer.session.ask("Run an agent.")
        assert not peer.model.wait_for("the build is green").agent
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")
