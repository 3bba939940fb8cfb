"""The plugin for Amp, loaded by Node and fed with the events of Amp's documentation.

https://ampcode.com/docs/customize/plugins names the events and what may be returned. Amp itself runs no
thread without its server.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox.cli.install.plugins.amp import PLUGIN
from claude_mailbox.cli.install.plugins.filling import fill
from client.hooks.client_process import rows, send
from support.daemon import DaemonProcess

NODE = shutil.which("node")

# Reads an event a line, and prints what the plugin returns; and what it appends to its thread.
HOST = """
import readline from "node:readline"
const say = (value) => console.log(JSON.stringify(value))
const handlers = {}
const thread = { id: "T-c0ffee", append: async (messages) => say({ appended: messages }) }
const amp = { on: (name, handler) => (handlers[name] = handler), onDispose: (f) => (amp.end = f) }
const { default: plugin } = await import("./claude-mailbox.mjs")
plugin(amp)
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, event] = JSON.parse(line)
  const call = name === "dispose" ? amp.end() : handlers[name]({ ...event, thread }, { thread })
  say({ returned: (await call) ?? null })
}
process.exit(0)
"""


class Amp:
    """A process that does with the plugin what Amp does."""

    def __init__(self, daemon: DaemonProcess, folder: Path) -> None:
        text = fill(PLUGIN, [sys.executable, "-m", "claude_mailbox"], [])
        (folder / "claude-mailbox.mjs").write_text(text)
        (folder / "host.mjs").write_text(HOST)
        self._process = subprocess.Popen(
            [str(NODE), "host.mjs"],
            cwd=folder,
            env=daemon.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def said(self) -> dict[str, Any]:
        """Return what the plugin did next."""
        assert self._process.stdout is not None
        value: dict[str, Any] = json.loads(self._process.stdout.readline())
        return value

    def emit(self, name: str, **event: object) -> Any:
        """Let something happen; return what the plugin's handler returns."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, event]) + "\n")
        self._process.stdin.flush()
        return self.said()["returned"]

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=20)


@pytest.fixture
def amp(daemon: DaemonProcess, tmp_path: Path) -> Iterator[Amp]:
    """Amp in the folder of a project."""
    folder = tmp_path / "shop"
    folder.mkdir()
    host = Amp(daemon, folder)
    yield host
    host.close()


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_a_thread_has_a_mailbox_and_its_mail_and_is_woken(daemon: DaemonProcess, amp: Amp) -> None:
    """With each prompt, after each tool whose output is a text, and when it is idle."""
    message = amp.emit("agent.start", message="Hello", id=1)["message"]["content"]
    assert 'This session has the mailbox "shop-tc0ffee"' in message
    assert 'you are "shop-tc0ffee"' in message
    send(daemon, "shop-tc0ffee", "between")
    done = {"tool": "Bash", "input": {}, "status": "done"}
    assert amp.emit("tool.result", **done, output={"exitCode": 0}) is None
    shown = amp.emit("tool.result", **done, output="ok")
    assert shown["status"] == "done"
    assert shown["output"].startswith("ok\n\n[Claude-Mailbox] ")
    assert "  between\n" in shown["output"]
    assert amp.emit("tool.result", **done, output="ok") is None
    assert amp.emit("agent.end", status="done", messages=[]) is None
    assert rows(daemon)["shop-tc0ffee"]["state"] == "idle"

    send(daemon, "shop-tc0ffee", "when idle")
    ((wake,),) = amp.said().values()
    assert wake["type"] == "user-message"
    assert "when idle" not in wake["content"]
    shown = amp.emit("agent.start", message=wake["content"], id=2)["message"]["content"]
    assert "  when idle\n" in shown
    assert amp.emit("agent.start", message="Go on", id=3) is None

    amp.emit("dispose")
    assert "shop-tc0ffee" not in rows(daemon)


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_without_a_daemon_a_thread_goes_on(daemon: DaemonProcess, amp: Amp) -> None:
    """The model is told in a line."""
    daemon.kill()
    (daemon.home / "mailbox.json").write_text("{broken")
    told = amp.emit("agent.start", message="Hello", id=1)

    assert "[Claude-Mailbox]" in told["message"]["content"]
    assert amp.emit("agent.end", status="done", messages=[]) is None
