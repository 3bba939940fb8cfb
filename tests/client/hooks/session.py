"""A session of Claude Code, for tests of its hooks."""

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

from support.commandline import CommandLine

PLUGIN = {"CLAUDE_PLUGIN_ROOT": "/plugin"}
ATTENDED, ONE_SHOT = ({"CLAUDE_CODE_SESSION_ATTENDED": number} for number in "10")


class Session:
    """A session of Claude Code that runs our hooks.

    Attributes:
        id: the session id.
        cwd: its folder, which is not in a repository.
        name: the name that its mailbox gets.
    """

    def __init__(self, commandline: CommandLine, cwd: Path) -> None:
        self.id = str(uuid.uuid4())
        self.cwd = cwd
        self.name = f"{cwd.name}-{self.id[:8]}"
        self._commandline = commandline

    def run(
        self, *arguments: str, env: dict[str, str] | None = None, **fields: object
    ) -> "subprocess.CompletedProcess[str]":
        """Run a hook, with additional *fields* in its input."""
        hook = {"session_id": self.id, "cwd": str(self.cwd), **fields}
        environment = {"CLAUDE_PID": str(os.getpid()), **ATTENDED, **PLUGIN, **(env or {})}
        return self._commandline.run(*arguments, text=json.dumps(hook), environment=environment)

    def announce(
        self, *, source: str = "startup", env: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Run the hook SessionStart and return its whole output."""
        done = self.run("session-announce", env=env, hook_event_name="SessionStart", source=source)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def start(self, **options: Any) -> dict[str, Any]:
        """Run the hook SessionStart and return the part of its output for this event."""
        output = self.announce(**options)["hookSpecificOutput"]
        assert output["hookEventName"] == "SessionStart"
        return output  # type: ignore[no-any-return]

    def prompt(self) -> str:
        """Run the hook UserPromptSubmit and return the context that it adds."""
        done = self.run("check", "--hook", hook_event_name="UserPromptSubmit")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def end(self, reason: str = "other") -> None:
        """Run the hook SessionEnd."""
        done = self.run("session-end", hook_event_name="SessionEnd", reason=reason)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def mailboxes(commandline: CommandLine) -> list[str]:
    """Return the names of all mailboxes."""
    with commandline.client() as daemon:
        rows = daemon.call("GET", "/v1/list").value
    assert isinstance(rows, list)
    return [row["name"] for row in rows]
