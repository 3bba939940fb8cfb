"""Terminals for interactive clients: a private tmux server with a session for each."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from e2e.harness.waiting import eventually

WIDTH, HEIGHT = 160, 50
# A pane stays when its program ends, so that its last output can be read.
CONFIG = "set -g remain-on-exit on\nset -s escape-time 0\n"


class Terminals:
    """A tmux server with its own socket and configuration, which ends with the test."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")
        self._config = str(folder / "tmux.conf")
        Path(self._config).write_text(CONFIG)
        self._opened = 0

    def __enter__(self) -> "Terminals":
        return self

    def __exit__(self, *_: object) -> None:
        self.command("kill-server", check=False)

    def open(self, program: Sequence[str], env: Mapping[str, str], cwd: Path) -> "Terminal":
        """Start *program* in a new terminal, with exactly *env* as its environment."""
        self._opened += 1
        name = f"client-{self._opened}"
        # `env -i`, because programs inherit the environment of the tmux server.
        words = ["env", "-i", *(f"{key}={value}" for key, value in env.items()), *program]
        pid = self.command(
            *("-f", self._config, "new-session", "-d", "-P", "-F", "#{pane_pid}", "-s", name),
            *("-x", str(WIDTH), "-y", str(HEIGHT), "-c", str(cwd), "--", *words),
        )
        return Terminal(self, name, int(pid))

    def command(self, *words: str, check: bool = True) -> str:
        """Run a tmux command and return its output."""
        done = subprocess.run(
            ["tmux", "-S", self._socket, *words], capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            message = f"tmux {' '.join(words)[:80]} failed: {done.stderr.strip()}"
            raise RuntimeError(message)
        return done.stdout.rstrip("\n")


class Terminal:
    """One terminal.

    Attributes:
        pid: process id of the program in it.
    """

    def __init__(self, terminals: Terminals, name: str, pid: int) -> None:
        self._command = terminals.command
        self._name = name
        self.pid = pid

    def screen(self) -> str:
        """Return the text on the screen."""
        shown = self._command("capture-pane", "-p", "-t", self._name)
        return shown.replace("\N{NO-BREAK SPACE}", " ")

    def type(self, text: str) -> None:
        """Type *text* literally."""
        self._command("send-keys", "-t", self._name, "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by their tmux names, such as ``Enter`` and ``C-c``."""
        self._command("send-keys", "-t", self._name, *keys)

    def has_ended(self) -> bool:
        """Return whether the program has ended."""
        return self._command("display-message", "-p", "-t", self._name, "#{pane_dead}") == "1"

    def wait_until(self, holds: Callable[[str], bool], what: str) -> None:
        """Wait until *holds* is true for the screen.

        Raises:
            TimeoutError: if it never is; the message shows the screen.
        """
        eventually(lambda: holds(self.screen()), lambda: f"no {what} here:\n{self.screen()}")
