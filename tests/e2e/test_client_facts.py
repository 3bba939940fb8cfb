"""What the plugin takes for granted about the client, each fact asked of the client itself.

When a new version of the client breaks the plugin, the fact that went is found here. No mail is
involved: the plugins are toys of a few shell commands.
"""

import time
from pathlib import Path

from e2e.conftest import Cast, Measure
from e2e.harness.claude import Claude, Session
from e2e.harness.messages import Call, Request, Say, call, quiet, say
from e2e.harness.toy_plugin import Hook, answer, shell, write_plugin

# Reads the doorbell file to the model, and only wakes it when there is something in it.
WAKE = shell(
    'test -s "$BELL" && cat "$BELL" >&2 && exit 2; exit 0',
    asyncRewake=True,
    rewakeMessage="For you:",
    rewakeSummary="The bell rang",
)


class Bell:
    """A file that a toy plugin has the client watch, by the name of ``$BELL``."""

    def __init__(self, folder: Path, claude: Claude) -> None:
        self.path = folder / "bell"
        self.path.touch()
        claude.env["BELL"] = str(self.path)
        watch = answer("SessionStart", watchPaths=[str(self.path)])
        self.hooks: dict[str, Hook | list[Hook]] = {
            "SessionStart": shell(watch),
            "FileChanged": [WAKE, shell(answer("FileChanged", watchPaths=[str(self.path)]))],
        }

    def ring(self, text: str) -> float:
        """Write *text*, and return when."""
        self.path.write_text(text)
        return time.monotonic()


class TestFileChanged:
    def test_wakes_an_idle_session(
        self, folder: Path, claude: Claude, cast: Cast, measure: Measure
    ) -> None:
        """An asyncRewake hook on a watched file starts a turn, again and again.

        Not before the first prompt here: a ring in the moment between the end of the SessionStart
        hook and the first look at the file is lost, so whoever rings has to ring again.
        """
        bell = Bell(folder, claude)
        plugin = write_plugin(folder, "toy", bell.hooks)
        session = cast.session(quiet, "--plugin-dir", str(plugin))
        session.ask("Hello")
        for text in ("first ring", "second ring"):
            rung = bell.ring(text)
            woken = session.model.wait_for(f"For you: {text}")
            measure("toy plugin: file written until the idle model has it", woken.at - rung)
            session.wait_idle()

    def test_another_plugin_takes_the_watch_list(
        self, folder: Path, claude: Claude, cast: Cast
    ) -> None:
        """The list is replaced by any plugin's FileChanged hook, so ours is given again by each."""
        bell = Bell(folder, claude)
        ours = write_plugin(folder, "toy", bell.hooks)
        greedy = shell(answer("FileChanged", watchPaths=[str(folder / "else")]))
        theirs = write_plugin(folder, "greedy", {"FileChanged": greedy})
        session = cast.session(quiet, "--plugin-dir", str(ours), "--plugin-dir", str(theirs))
        session.ask("Hello")
        for text in ("first ring", "second ring", "third ring"):
            bell.ring(text)
            session.model.wait_for(text)
            session.wait_idle()

    def test_is_mute_in_a_one_shot_run(self, folder: Path, claude: Claude, cast: Cast) -> None:
        """In ``claude -p`` the hook runs, and what it says is lost: it must not take mail there."""
        bell = Bell(folder, claude)
        ran = folder / "ran"
        note = shell(f'echo "$CLAUDE_CODE_SESSION_ATTENDED" >{ran}; echo lost >&2; exit 2')
        hooks = {**bell.hooks, "FileChanged": {**WAKE, **note}}
        plugin = write_plugin(folder, "toy", hooks)

        def script(request: Request) -> Say | Call:
            if "rang" in request.news:
                return say("Done.")
            wait = f"echo x >$BELL; until test -e {ran}; do sleep 0.1; done; sleep 0.5; echo rang"
            return call("Bash", command=wait, description="Ring and wait")

        model = cast.model(script)
        claude.run("-p", "Go", "--plugin-dir", str(plugin), "--allowedTools", "Bash", model=model)
        assert ran.read_text() == "0\n"
        assert "lost" not in model.requests[-1].history


class TestWhoHearsAHook:
    EVENTS = ("SubagentStop", "TaskCompleted")

    def play(self, plugin: Path, cast: Cast) -> Session:
        """Return a session in which a subagent has ended and a task was completed."""
        tools = ("--allowedTools", "TaskCreate,TaskUpdate")
        session = cast.session(self.script, "--plugin-dir", str(plugin), *tools)
        session.ask("Run an agent.")
        session.model.wait_for("<result>The agent is done</result>")
        session.ask("Make a task.")
        return session

    @staticmethod
    def script(request: Request) -> Say | Call:
        if request.agent:
            return say("The agent is done")
        if "Run an agent." in request.news:
            errand = {"description": "Errand", "prompt": "Go."}
            return call("Agent", subagent_type="general-purpose", **errand)
        if "Make a task." in request.news:
            return call("TaskCreate", subject="Chore", description="A chore")
        if "created successfully" in request.news:
            return call("TaskUpdate", taskId="1", status="completed")
        return say("All right.")

    def test_context(self, folder: Path, cast: Cast) -> None:
        """A subagent hears SubagentStop, and nobody TaskCompleted: neither may hand mail out so."""
        hooks = {
            event: shell(answer(event, additionalContext=f"{event}!")) for event in self.EVENTS
        }
        session = self.play(write_plugin(folder, "toy", hooks), cast)
        heard = [
            (event, bool(request.agent))
            for request in session.model.requests
            for event in self.EVENTS
            if f"{event}!" in request.news
        ]
        assert set(heard) == {("SubagentStop", True)}

    def test_wake_ups(self, folder: Path, cast: Cast) -> None:
        """As asyncRewake hooks both reach the main conversation, and no subagent hears them."""
        hooks = {
            event: shell(f"echo {event}! >&2; exit 2", asyncRewake=True) for event in self.EVENTS
        }
        session = self.play(write_plugin(folder, "toy", hooks), cast)
        for event in self.EVENTS:
            assert not session.model.wait_for(f"{event}!").agent


class TestClear:
    def test_ends_the_old_session_then_starts_the_new(
        self, folder: Path, claude: Claude, cast: Cast
    ) -> None:
        """At /clear the old id ends before the new one starts, both in one process."""
        log = folder / "log"
        note = shell(f'jq -r .session_id | xargs echo "$CLAUDE_PID" >>{log}')
        plugin = write_plugin(folder, "toy", {"SessionStart": note, "SessionEnd": note})
        session = cast.session(quiet, "--plugin-dir", str(plugin))
        session.ask("Hello")
        session.enter("/clear")
        session.ask("Hello again")
        session.exit()
        pid, old, new = session.terminal.pid, session.id, session.model.requests[-1].session
        assert log.read_text().splitlines() == [
            f"{pid} {session_id}" for session_id in (old, old, new, new)
        ]
