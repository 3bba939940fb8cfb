"""Commands as people use them."""

import json
import os
import pty
import sqlite3
import subprocess
from pathlib import Path

import httpx

from support.commandline import CommandLine
from support.daemon import DaemonProcess


def test_mail_in_a_hidden_mailbox_is_counted_and_listed() -> None:
    """`status` counts all mail, and `list --all` shows where it is."""
    with DaemonProcess({"hideAfterMinutes": 1}) as process, CommandLine(process) as commandline:
        commandline.send("old", "x")
        process.stop()
        connection = sqlite3.connect(process.database)
        connection.execute("UPDATE mailbox SET last_seen_at = 1, created_at = 1")
        connection.commit()
        connection.close()
        process.start()
        rows = json.loads(commandline.run("list", "--all", "--json").stdout)
        assert [row["name"] for row in rows if row["pending"]] == ["old"]
        assert json.loads(commandline.run("status", "--json").stdout)["pending"] == 1


def test_delete_removes_an_empty_mailbox(daemon: DaemonProcess) -> None:
    """A mailbox in which mail waits stays."""
    with CommandLine(daemon) as commandline:
        commandline.send("box", "x")
        assert commandline.run("delete", "--name", "box").returncode == 1
        assert commandline.bodies("box") == ["x"]
        done = commandline.run("delete", "--name", "box")
        assert (done.returncode, done.stdout) == (0, "Mailbox 'box' is deleted.\n")
        rows = json.loads(commandline.run("list", "--all", "--json").stdout)
        assert "box" not in [row["name"] for row in rows]


def test_hooks_of_a_project_are_silent_where_the_command_is_missing(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    """An empty settings file is a valid one, and uninstalling leaves no empty folder."""
    with CommandLine(daemon) as commandline:
        child = commandline.spawn("install-hook", "--project", cwd=tmp_path)
        assert child.wait() == 0
        settings = json.loads((tmp_path / ".claude" / "settings.json").read_text())
        command = settings["hooks"]["UserPromptSubmit"][0]["hooks"][0]["command"]
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env={"PATH": "/nowhere"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert commandline.spawn("uninstall-hook", "--project", cwd=tmp_path).wait() == 0
        assert list(tmp_path.iterdir()) == []
        (tmp_path / ".claude").mkdir()
        (tmp_path / ".claude" / "settings.json").write_text("")
        assert commandline.spawn("install-hook", "--project", cwd=tmp_path).wait() == 0
        assert "hooks" in json.loads((tmp_path / ".claude" / "settings.json").read_text())


def test_purge_asks_on_a_terminal(tmp_path: Path) -> None:
    """And keeps everything when the answer is no."""
    process = DaemonProcess(environment={"XDG_CONFIG_HOME": str(tmp_path)})
    (process.home / "mailbox.json").write_text("{}")
    master, slave = pty.openpty()
    try:
        with CommandLine(process) as commandline:
            child = commandline.spawn("uninstall-autostart", "--purge", stdin=slave)
            os.write(master, b"n\n")
            _, errors = child.communicate()
        assert child.returncode == 130
        assert str(process.home) in errors
        assert (process.home / "mailbox.json").exists()
    finally:
        os.close(slave)
        os.close(master)
        process.close()


def test_a_name_beyond_ascii_fits_into_the_header_of_any_client(daemon: DaemonProcess) -> None:
    """`mcp-config` prints it as ASCII, and the daemon takes that for the same mailbox."""
    with CommandLine(daemon) as commandline:
        done = commandline.run("mcp-config", "cursor", "--name", "grüße-ж")
        header = json.loads(done.stdout)["mcpServers"]["mailbox"]["headers"]["X-Mailbox"]
        assert header.isascii()
        commandline.send("grüße-ж", "hello")
        found = httpx.post(
            f"{daemon.url}/v1/check-inbox",
            params={"name": "grüße-ж"},
            headers={"X-Mailbox": header},
        )
        assert [message["body"] for message in found.json()] == ["hello"]


def test_a_terminal_gets_relative_times_and_colour(daemon: DaemonProcess) -> None:
    """A pipe gets plain ISO 8601, for scripts."""
    with CommandLine(daemon, {"TERM": "xterm-256color"}) as commandline:
        commandline.bodies("box")
        master, slave = pty.openpty()
        child = commandline.spawn("list", stdout=slave)
        os.close(slave)
        assert child.wait() == 0
        shown = os.read(master, 65536).decode()
        os.close(master)
        assert "ago)" in shown or "(just now)" in shown
        assert "\x1b[1m" in shown
        plain = commandline.run("list").stdout
        assert "Z\t" in plain
        assert "\x1b" not in plain
