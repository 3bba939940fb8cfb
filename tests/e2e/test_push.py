"""Mail finds its way to the model without anybody asking for it."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from e2e.conftest import Cast, Measure
from e2e.harness.mail import Mail
from e2e.harness.messages import Call, Request, Say, call, quiet, say
from e2e.harness.plugin import FROM_FOLDER, Plugin
from e2e.harness.toy_plugin import answer, shell, write_plugin
from e2e.harness.waiting import eventually


@pytest.fixture(autouse=True)
def _running(mail: Mail) -> None:
    mail.start()


class TestIdleSession:
    def test_is_woken(self, mail: Mail, cast: Cast, plugin: Plugin, measure: Measure) -> None:
        """A message from outside starts a turn, and so does the next one."""
        peer = cast.peer(quiet, plugin)
        peer.session.ask("Hello")
        for body in ("the build is green", "the build is red"):
            sent = time.monotonic()
            mail.send(peer.name, body)
            woken = peer.model.wait_for(body)
            measure("'send' called until the idle model has the message", woken.at - sent)
            assert "outside" in woken.news
            peer.session.wait_idle()
        peer.assert_read_once("the build is green", "the build is red")

    def test_is_woken_before_its_first_prompt(self, mail: Mail, cast: Cast) -> None:
        """A session that nobody has talked to yet is woken too, however early the mail comes."""
        peer = cast.peer(quiet)
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_is_woken_in_bypass_mode(self, mail: Mail, cast: Cast) -> None:
        """Without permission checks push works as with them."""
        peer = cast.peer(quiet, mode="bypassPermissions")
        peer.session.ask("Hello")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_is_woken_though_another_plugin_takes_the_watch_list(
        self, folder: Path, mail: Mail, cast: Cast
    ) -> None:
        """A plugin that replaces the list of watched files does not silence the doorbell."""
        greedy = shell(answer("FileChanged", watchPaths=[str(folder / "else")]))
        other = write_plugin(folder, "greedy", {"FileChanged": greedy})
        both = Plugin((*FROM_FOLDER.loading, "--plugin-dir", str(other)))
        peer = cast.peer(quiet, both)
        peer.session.ask("Hello")
        bodies = [f"message {number} of 3" for number in (1, 2, 3)]
        for body in bodies:
            mail.send(peer.name, body)
            peer.model.wait_for(body)
            peer.session.wait_idle()
        peer.assert_read_once(*bodies)

    def test_is_woken_after_its_folder_changed(self, mail: Mail, cast: Cast) -> None:
        """A `cd` in a tool call takes neither the mailbox nor the doorbell away."""

        def script(request: Request) -> Say | Call:
            if "Go down." in request.news:
                return call("Bash", command="mkdir -p deeper && cd deeper", description="Go")
            return say("All right.")

        peer = cast.peer(script)
        peer.session.ask("Go down.")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_keeps_a_draft(self, mail: Mail, cast: Cast) -> None:
        """What the user has half typed is still there after the wake-up."""
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        peer.session.terminal.type("half a thou")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        assert "half a thou" in peer.session.terminal.screen()


class TestBusySession:
    def test_gets_mail_between_two_tool_calls(
        self, folder: Path, mail: Mail, cast: Cast, measure: Measure
    ) -> None:
        """Mail that comes while a tool runs is with the model in the same turn, after a tool.

        After this one or, when the client had no time to fetch the hook's text, after the next.
        """
        gate = folder / "gate"
        os.mkfifo(gate)

        def script(request: Request) -> Say | Call:
            if "Wait at the gate." in request.news:
                return call("Bash", command=f"cat {gate}", description="Wait")
            if "gate is open" in request.news:
                return call("Bash", command="echo went through", description="Go on")
            return say("All right.")

        peer = cast.peer(script)
        peer.session.ask("Hello")
        peer.session.enter("Wait at the gate.")
        with open_for_reader(gate) as tool:
            sent = time.monotonic()
            mail.send(peer.name, "the build is red")
            mail.wait_taken(peer.name)
            measure(
                "'send' called until a busy session has taken the message", time.monotonic() - sent
            )
            tool.write("the gate is open")
        news = peer.model.wait_for("the build is red").news
        assert "the gate is open" in news or "went through" in news
        peer.model.wait_for("went through")
        peer.session.wait_idle()
        peer.assert_read_once("the build is red")


def open_for_reader(pipe: Path) -> TextIO:
    """Open a pipe for writing once somebody reads it, which says that the tool call runs."""

    def attempt() -> TextIO | None:
        with suppress(OSError):
            return open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")
        return None

    return eventually(attempt, lambda: "the tool call does not run")


class TestBurst:
    def test_is_coalesced_and_in_order(self, mail: Mail, cast: Cast, measure: Measure) -> None:
        """Twenty messages at once make fewer turns than messages, and none comes twice."""
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        bodies = [f"message {number:02} of 20" for number in range(1, 21)]
        sent = time.monotonic()
        mail.send_burst(peer.name, bodies)
        last = peer.model.wait_for(bodies[-1])
        measure("burst of 20 sent until the model has the last one", last.at - sent)
        peer.session.wait_idle()
        carriers = [request for request in peer.model.requests if "of 20" in request.news]
        assert len(carriers) < len(bodies)
        peer.assert_read_once(*bodies)

    def test_that_is_too_long_for_one_hook_is_not_cut(self, mail: Mail, cast: Cast) -> None:
        """Of more mail than a hook may show, the model gets whole messages and fetches the rest."""

        def script(request: Request) -> Say | Call:
            return (
                call("mailbox__check_inbox") if "did not fit" in request.news else say("All right.")
            )

        peer = cast.peer(script)
        peer.session.ask("Hello")
        bodies = [f"begin {number} {'x' * 3000} end {number}" for number in range(8)]
        mail.send_burst(peer.name, bodies)
        peer.model.wait_for("end 7")
        peer.session.wait_idle()
        peer.assert_read_once(*bodies)


class TestSubagent:
    def test_does_not_get_the_mail_of_its_session(self, mail: Mail, cast: Cast) -> None:
        """Mail that waits when a subagent ends goes to the main conversation."""

        def script(request: Request) -> Say | Call:
            if request.agent:
                mail.send(peer.name, "the build is green")
                return say("The agent is done")
            if "Run an agent." in request.news:
                errand = {"description": "Errand", "prompt": "Go."}
                return call("Agent", subagent_type="general-purpose", **errand)
            return say("All right.")

        peer = cast.peer(script)
        peer.session.ask("Run an agent.")
        assert not peer.model.wait_for("the build is green").agent
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")
