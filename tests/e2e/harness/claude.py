"""Claude Code: its home, one-shot runs and interactive sessions."""

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from e2e.harness.model import Model
from e2e.harness.terminal import Terminal, Terminals
from e2e.harness.waiting import TIMEOUT

API_KEY = "sk-ant-e2e-0123456789abcdefghijklmnop"
NOWHERE = "http://127.0.0.1:9"
# The line at the bottom of the screen. It has the permission mode, and more while the client works.
# A dialog has no such line.
FOOT = re.compile(r"(mode|permissions) on\b")
BUSY = "esc to interrupt"
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"


class Claude:
    """Claude Code of one user: a home folder with projects, and ways to start the client.

    Attributes:
        home: the user's home folder.
        env: environment of every client, without the address of the model.
    """

    def __init__(
        self, binary: str, folder: Path, terminals: Terminals, env: Mapping[str, str]
    ) -> None:
        self._binary = binary
        self._terminals = terminals
        self.home = folder / "home"
        scratch = folder / "tmp"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "ANTHROPIC_API_KEY": API_KEY,
            "ANTHROPIC_BASE_URL": NOWHERE,
            "CLAUDE_CODE_TMPDIR": str(scratch),
            "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
            "DISABLE_AUTOUPDATER": "1",
            # Without this the client does not allow the bypass mode to root.
            "IS_SANDBOX": "1",
            **env,
        }
        self._projects = self.home / "projects"
        for new in (self.home / ".claude", self._projects, scratch):
            new.mkdir(parents=True)
        self.trust(self._projects)
        settings = {"skipDangerousModePermissionPrompt": True}
        (self.home / ".claude" / "settings.json").write_text(json.dumps(settings))

    def trust(self, *folders: Path) -> None:
        """Answer what the client asks at its first start, and in a new folder; before any start.

        Folders in a trusted one are trusted, but not a git repository.
        """
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        state = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [API_KEY[-20:]]},
            "projects": {str(folder): trusted for folder in {self._projects, *folders}},
        }
        (self.home / ".claude.json").write_text(json.dumps(state))

    def project(self, name: str) -> Path:
        """Return the folder of a project, which the client trusts unless it is a git repository."""
        folder = self._projects / name
        folder.mkdir(exist_ok=True)
        return folder

    def run(
        self, *arguments: str, model: Model | None = None, project: str = "project"
    ) -> subprocess.CompletedProcess[str]:
        """Run the client without a terminal until it exits."""
        return subprocess.run(
            [self._binary, *arguments],
            cwd=self.project(project),
            env=self.env | ({"ANTHROPIC_BASE_URL": model.url} if model else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )

    @contextmanager
    def session(
        self,
        model: Model,
        *arguments: str,
        project: str = "project",
        resume: str | None = None,
        mode: str = "manual",
    ) -> Iterator["Session"]:
        """Start an interactive session and wait until it takes input; kill it at the end.

        Args:
            model: the model that it talks to.
            arguments: further arguments for the client.
            project: name of the folder that it works in.
            resume: id of the session to resume.
            mode: permission mode; the default of the client needs a classifier, which is no scripted model.
        """
        session_id = resume or str(uuid.uuid4())
        identity = ["--resume" if resume else "--session-id", session_id]
        terminal = self._terminals.open(
            [self._binary, *identity, "--permission-mode", mode, *arguments],
            self.env | {"ANTHROPIC_BASE_URL": model.url},
            self.project(project),
        )
        session = Session(session_id, model, terminal)
        try:
            session.wait_ready()
            yield session
        finally:
            session.kill()


class Session:
    """An interactive session.

    Attributes:
        id: the session id that it was started with.
        model: the model that it talks to.
        terminal: the terminal that it runs in.
    """

    def __init__(self, session_id: str, model: Model, terminal: Terminal) -> None:
        self.id = session_id
        self.model = model
        self.terminal = terminal

    def enter(self, text: str) -> None:
        """Type *text* and press Enter once the client shows it."""
        self.terminal.type(text)
        self.terminal.wait_until(lambda screen: f"{PROMPT} {text}" in screen, f"draft {text!r}")
        self.terminal.press("Enter")

    def ask(self, text: str) -> None:
        """Enter a prompt and wait until its turn has ended."""
        before = len(self.model.requests)
        self.enter(text)
        self.model.wait_for(text, after=before)
        self.wait_idle()

    def wait_idle(self) -> None:
        """Wait until the turn has ended and the client waits for the user."""
        self.model.wait_until_turn_ends()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the client takes input and does not work."""
        self.terminal.wait_until(
            lambda screen: bool(FOOT.search(screen)) and BUSY not in screen, "idle client"
        )

    def exit(self) -> None:
        """Exit as a user does, and wait until the client has ended."""
        self.enter("/exit")
        self._wait_ended()

    def kill(self) -> None:
        """Kill the client, unless it has ended already."""
        if not self.terminal.has_ended():
            os.kill(self.terminal.pid, signal.SIGKILL)
            self._wait_ended()

    def _wait_ended(self) -> None:
        self.terminal.wait_until(lambda _: self.terminal.has_ended(), "end of the client")
