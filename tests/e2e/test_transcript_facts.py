"""What the transcript shows of a text that a hook gave the client, and when.

These are the facts of docs/transcript.md. The plugins are toys with a few shell commands.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import Sessions
from e2e.harness.claude import Claude, Session
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.toy_plugin import Bell, Hook, shell, write_plugin
from e2e.harness.transcript import Standing, standing
from e2e.harness.waiting import TIMEOUT, eventually

MARK = "[mail 7-5d0a1c3f9b2e]"
LIMIT = 10_000  # UTF-16 code units of one text from a hook

# Gives the text in the file to the model, once.
CONTEXT = shell('cat "$CONTEXT" 2>/dev/null; rm -f "$CONTEXT"; exit 0')
REFUSE = shell("grep -q 'Refuse this' && { echo no >&2; exit 2; }; exit 0")


class Trial:
    """A toy plugin, its sessions, and two ways to give them the mark: a ring and a prompt."""

    def __init__(self, folder: Path, claude: Claude, sessions: Sessions) -> None:
        self._folder = folder
        self._claude = claude
        self._sessions = sessions
        self._bell = Bell(folder, claude)
        self._context = folder / "context"
        claude.env["CONTEXT"] = str(self._context)
        self._plugin: Path | None = None
        self.is_held = threading.Event()
        self.go_on = threading.Event()

    def start_session(self, *extra: Hook, resume: str | None = None) -> Session:
        """Start a session, with *extra* hooks on every prompt."""
        if self._plugin is None:
            hooks = {**self._bell.hooks, "UserPromptSubmit": [CONTEXT, *extra]}
            self._plugin = write_plugin(self._folder, "toy", hooks)
        arguments = ("--plugin-dir", str(self._plugin), "--allowedTools", "Bash")
        session = self._sessions.start(quiet, *arguments, resume=resume)
        if resume is None:
            session.ask("Hello")
        return session

    def give_with_next_prompt(self, text: str) -> None:
        self._context.write_text(text)

    def ring(self, text: str) -> None:
        self._bell.ring(text)

    def hold(self, request: Request) -> Text:
        """The script of a model that does not answer the mark until `go_on` is set."""
        if MARK in request.news:
            self.is_held.set()
            self.go_on.wait(TIMEOUT)
        return say("All right.")

    def standing(self, session: Session) -> Standing:
        return standing(self.transcript(session), MARK)

    def transcript(self, session: Session) -> Path:
        (path,) = self._claude.home.glob(f".claude/projects/*/{session.id}.jsonl")
        return path

    def wait_for(self, expected: Standing, session: Session) -> None:
        eventually(
            lambda: self.standing(session) is expected,
            lambda: f"{expected} expected, not {self.standing(session)}",
        )


@pytest.fixture
def trial(folder: Path, claude: Claude, sessions: Sessions) -> Iterator[Trial]:
    """A toy plugin, and sessions that use it."""
    trial = Trial(folder, claude, sessions)
    yield trial
    trial.go_on.set()


def run_tool(request: Request) -> Text | ToolCall:
    """The script of a model that runs a tool for two seconds when asked to."""
    if "Run it." in request.news:
        return call("Bash", command="sleep 2; echo it ran", description="Wait")
    return say("All right.")


class TestWakeUp:
    def test_is_answered_when_the_idle_model_has_answered(self, trial: Trial) -> None:
        session = trial.start_session()
        trial.ring(MARK)
        session.model.wait_for(MARK)
        trial.wait_for(Standing.ANSWERED, session)

    def test_waits_in_the_queue_while_a_tool_runs(self, trial: Trial) -> None:
        """It enters the conversation with the tool's result."""
        session = trial.start_session()
        session.model.script = run_tool
        session.enter("Run it.")
        session.model.wait_for("Run it.")
        trial.ring(MARK)
        trial.wait_for(Standing.QUEUED, session)
        session.model.wait_for(MARK)
        trial.wait_for(Standing.ANSWERED, session)

    def test_in_the_queue_is_lost_with_the_client(self, trial: Trial) -> None:
        session = trial.start_session()
        session.model.script = run_tool
        session.enter("Run it.")
        session.model.wait_for("Run it.")
        trial.ring(MARK)
        trial.wait_for(Standing.QUEUED, session)
        session.kill()
        resumed = trial.start_session(resume=session.id)
        resumed.ask("Anything?")
        assert MARK not in resumed.model.requests[-1].history
        resumed.exit()
        assert trial.standing(resumed) is Standing.QUEUED

    def test_shown_before_a_kill_is_in_the_resumed_conversation(self, trial: Trial) -> None:
        session = trial.start_session()
        session.model.script = trial.hold
        trial.ring(MARK)
        trial.wait_for(Standing.SHOWN, session)
        session.kill()
        trial.go_on.set()
        resumed = trial.start_session(resume=session.id)
        assert trial.standing(resumed) is Standing.SHOWN
        resumed.ask("Anything?")
        assert resumed.model.requests[-1].history.count(MARK) == 1
        trial.wait_for(Standing.ANSWERED, resumed)

    def test_stays_when_the_user_interrupts_the_answer(self, trial: Trial) -> None:
        session = trial.start_session()
        session.model.script = trial.hold
        trial.ring(MARK)
        assert trial.is_held.wait(TIMEOUT)
        session.terminal.press("Escape")
        session.terminal.wait_until(lambda screen: "Interrupted" in screen, "interruption")
        trial.wait_for(Standing.SHOWN, session)
        trial.go_on.set()
        session.ask("Anything?")
        assert MARK in session.model.requests[-1].history
        trial.wait_for(Standing.ANSWERED, session)

    def test_a_wake_up_that_another_hook_refuses_is_never_shown(self, trial: Trial) -> None:
        session = trial.start_session(REFUSE)
        trial.ring(f"Refuse this {MARK}")
        session.terminal.wait_until(lambda screen: "blocked by hook" in screen, "refusal")
        session.ask("Anything?")
        assert MARK not in session.model.requests[-1].history
        session.exit()  # by then everything is in the file
        assert trial.standing(session) is Standing.QUEUED


class TestPromptContext:
    def test_is_answered_when_the_model_has_answered(self, trial: Trial) -> None:
        session = trial.start_session()
        trial.give_with_next_prompt(MARK)
        session.ask("Anything?")
        trial.wait_for(Standing.ANSWERED, session)

    def test_the_context_of_a_cancelled_prompt_is_in_no_conversation(self, trial: Trial) -> None:
        """Its line stays in the file all the same, so a line alone proves nothing."""
        session = trial.start_session()
        session.model.script = trial.hold
        trial.give_with_next_prompt(MARK)
        session.enter("Never mind")
        assert trial.is_held.wait(TIMEOUT)
        trial.wait_for(Standing.SHOWN, session)
        session.terminal.press("Escape")
        session.wait_ready()
        trial.go_on.set()
        session.terminal.press("C-u")
        session.ask("Anything?")
        assert MARK not in session.model.requests[-1].history
        session.exit()
        assert trial.standing(session) is Standing.SHOWN

    def test_the_context_of_a_refused_prompt_is_lost(self, trial: Trial) -> None:
        session = trial.start_session(REFUSE)
        trial.give_with_next_prompt(MARK)
        session.enter("Refuse this")
        session.terminal.wait_until(lambda screen: "blocked by hook" in screen, "refusal")
        session.terminal.press("C-u")
        session.ask("Anything?")
        assert MARK not in session.model.requests[-1].history
        session.exit()
        assert trial.standing(session) is Standing.ABSENT

    @pytest.mark.parametrize(
        "letter", ["x", "ä", "漢", "😀"], ids=["ascii", "latin", "cjk", "emoji"]
    )
    def test_is_complete_up_to_10000_utf_16_units(self, trial: Trial, letter: str) -> None:
        """Above that the client shows the first 2 kB, so a mark at the end is missing."""
        units = len(letter.encode("utf-16-le")) // 2
        room = LIMIT - len(MARK)
        whole = letter * (room // units) + "." * (room % units) + MARK
        session = trial.start_session()
        trial.give_with_next_prompt(f".{whole}")
        session.ask("One unit too many")
        assert MARK not in session.model.requests[-1].history
        trial.give_with_next_prompt(whole)
        session.ask("As many as allowed")
        assert whole in session.model.requests[-1].news
        trial.wait_for(Standing.ANSWERED, session)


def test_a_mark_in_other_texts_proves_nothing(trial: Trial) -> None:
    """Not in a user's prompt, not in a tool's result, and not in the model's own words."""
    session = trial.start_session()

    def script(request: Request) -> list[Text | ToolCall] | Text:
        if "it ran" in request.news:
            return say(f"I saw {MARK}")
        return [say(MARK), call("Bash", command=f"echo '{MARK}'; echo it ran", description=MARK)]

    session.model.script = script
    session.ask(f"What is {MARK}?")
    session.exit()
    assert "I saw" in trial.transcript(session).read_text()
    assert trial.standing(session) is Standing.ABSENT
