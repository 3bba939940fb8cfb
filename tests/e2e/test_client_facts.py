"""Facts about the client that the plugin relies on.

If a new version of the client breaks the plugin, these tests show which fact has changed. They use
no mail: their plugins are toys with a few shell commands.
"""

from pathlib import Path

from e2e.conftest import Measure, Sessions
from e2e.harness.claude import Claude, Session
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.toy_plugin import WAKE, Bell, hook_output, shell, write_plugin


class TestFileChanged:
    def test_wakes_an_idle_session(
        self, folder: Path, claude: Claude, sessions: Sessions, measure: Measure
    ) -> None:
        """An asyncRewake hook on a watched file starts a turn each time the file changes.

        The test enters a prompt first: a change between the end of the SessionStart hook and the
        start of the watch is lost. That is why the daemon rings again.
        """
        bell = Bell(folder, claude)
        plugin = write_plugin(folder, "toy", bell.hooks)
        session = sessions.start(quiet, "--plugin-dir", str(plugin))
        session.ask("Hello")
        for text in ("first ring", "second ring"):
            rung = bell.ring(text)
            woken = session.model.wait_for(f"For you: {text}")
            measure("toy plugin: file written until the idle model has it", woken.at - rung)
            session.wait_idle()

    def test_another_plugin_can_replace_the_watched_files(
        self, folder: Path, claude: Claude, sessions: Sessions
    ) -> None:
        """Each FileChanged hook can replace the list, so ours returns our file each time."""
        bell = Bell(folder, claude)
        ours = write_plugin(folder, "toy", bell.hooks)
        other = shell(hook_output("FileChanged", watchPaths=[str(folder / "else")]))
        theirs = write_plugin(folder, "other", {"FileChanged": other})
        session = sessions.start(quiet, "--plugin-dir", str(ours), "--plugin-dir", str(theirs))
        session.ask("Hello")
        for text in ("first ring", "second ring", "third ring"):
            bell.ring(text)
            session.model.wait_for(text)
            session.wait_idle()

    def test_output_is_lost_in_a_one_shot_run(
        self, folder: Path, claude: Claude, sessions: Sessions
    ) -> None:
        """In ``claude -p`` the hook runs, but must not take mail."""
        bell = Bell(folder, claude)
        ran = folder / "ran"
        note = shell(f'echo "$CLAUDE_CODE_SESSION_ATTENDED" >{ran}; echo lost >&2; exit 2')
        hooks = {**bell.hooks, "FileChanged": {**WAKE, **note}}
        plugin = write_plugin(folder, "toy", hooks)

        def script(request: Request) -> Text | ToolCall:
            if "rang" in request.news:
                return say("Done.")
            wait = f"echo x >$BELL; until test -e {ran}; do sleep 0.1; done; sleep 0.5; echo rang"
            return call("Bash", command=wait, description="Ring and wait")

        model = sessions.start_model(script)
        claude.run("-p", "Go", "--plugin-dir", str(plugin), "--allowedTools", "Bash", model=model)
        assert ran.read_text() == "0\n"
        assert "lost" not in model.requests[-1].history


class TestReceiverOfHookOutput:
    EVENTS = ("SubagentStop", "TaskCompleted")

    def run_agent_and_task(self, plugin: Path, sessions: Sessions) -> Session:
        """Return a session after a subagent has ended and a task was completed."""
        tools = ("--allowedTools", "TaskCreate,TaskUpdate")
        session = sessions.start(self.script, "--plugin-dir", str(plugin), *tools)
        session.ask("Run an agent.")
        session.model.wait_for("<result>The agent is done</result>")
        session.ask("Make a task.")
        return session

    @staticmethod
    def script(request: Request) -> Text | ToolCall:
        if request.agent:
            return say("The agent is done")
        if "Run an agent." in request.news:
            options = {"description": "Errand", "prompt": "Go."}
            return call("Agent", subagent_type="general-purpose", **options)
        if "Make a task." in request.news:
            return call("TaskCreate", subject="Chore", description="A chore")
        if "created successfully" in request.news:
            return call("TaskUpdate", taskId="1", status="completed")
        return say("All right.")

    def test_additional_context_reaches_a_subagent_or_nobody(
        self, folder: Path, sessions: Sessions
    ) -> None:
        """The subagent for SubagentStop, nobody for TaskCompleted: so they must not take mail."""
        hooks = {
            event: shell(hook_output(event, additionalContext=f"{event}!")) for event in self.EVENTS
        }
        session = self.run_agent_and_task(write_plugin(folder, "toy", hooks), sessions)
        received = [
            (event, bool(request.agent))
            for request in session.model.requests
            for event in self.EVENTS
            if f"{event}!" in request.news
        ]
        assert set(received) == {("SubagentStop", True)}

    def test_wake_ups_reach_the_main_conversation(self, folder: Path, sessions: Sessions) -> None:
        """For both events, and no subagent."""
        hooks = {
            event: shell(f"echo {event}! >&2; exit 2", asyncRewake=True) for event in self.EVENTS
        }
        session = self.run_agent_and_task(write_plugin(folder, "toy", hooks), sessions)
        for event in self.EVENTS:
            assert not session.model.wait_for(f"{event}!").agent


class TestClear:
    def test_ends_the_old_session_before_the_new_one_starts(
        self, folder: Path, claude: Claude, sessions: Sessions
    ) -> None:
        """In the same process, with two session ids."""
        log = folder / "log"
        note = shell(f'jq -r .session_id | xargs echo "$CLAUDE_PID" >>{log}')
        plugin = write_plugin(folder, "toy", {"SessionStart": note, "SessionEnd": note})
        session = sessions.start(quiet, "--plugin-dir", str(plugin))
        session.ask("Hello")
        session.enter("/clear")
        session.ask("Hello again")
        session.exit()
        pid, old, new = session.terminal.pid, session.id, session.model.requests[-1].session
        assert log.read_text().splitlines() == [
            f"{pid} {session_id}" for session_id in (old, old, new, new)
        ]
