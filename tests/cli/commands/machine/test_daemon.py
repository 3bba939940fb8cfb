"""serve, start, stop, restart and status."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commandline import CommandLine, kill_all_in
from support.daemon import DaemonProcess

# Root may read everything; without its privileges it is a user like others.
WITHOUT_PRIVILEGES = (
    ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if shutil.which("setpriv") else []
)


@pytest.fixture
def fresh() -> Iterator[CommandLine]:
    """The command line with a home folder without a daemon; what is started there is killed."""
    process = DaemonProcess()
    (process.home / "mailbox.json").write_text('{"port": 0}')
    # No unit is found in this folder, so the autostart of the machine is not touched.
    with CommandLine(process, {"XDG_CONFIG_HOME": str(process.home / "config")}) as commandline:
        try:
            yield commandline
        finally:
            kill_all_in(process.home)
            process.close()


class TestStartAndStop:
    def test_start_restart_and_stop(self, fresh: CommandLine) -> None:
        """Each says what it did, and can be repeated; exit code 0."""
        done = fresh.run("start")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Started\n")
        assert str(fresh.process.home / "mailbox.db") in done.stdout
        again = json.loads(fresh.run("start", "--json").stdout)
        assert again["started"] is False
        assert fresh.run("start").stdout.startswith("Already running\n")
        restarted = json.loads(fresh.run("restart", "--json").stdout)
        assert restarted["started"] is True
        assert restarted["pid"] != again["pid"]
        assert fresh.run("stop").stdout == f"Stopped (pid {restarted['pid']}).\n"
        assert fresh.run("status").stdout.split()[0] == "NotInstalled"
        assert fresh.run("stop").stdout == "Not running.\n"
        assert json.loads(fresh.run("stop", "--json").stdout) == {"stopped": False, "pid": None}

    @pytest.mark.parametrize("name", ["mailbox.lock", "mailbox.json", "daemon.log", "mailbox.db"])
    def test_a_file_that_is_not_for_us_is_told_in_a_sentence(
        self, fresh: CommandLine, name: str
    ) -> None:
        """As in a home folder of another user; nobody waits for a daemon that has ended."""
        path = fresh.process.home / name
        path.touch()
        path.chmod(0)
        done = subprocess.run(
            [*WITHOUT_PRIVILEGES, sys.executable, "-m", "claude_mailbox", "start"],
            env=fresh.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("Error: ")
        assert str(fresh.process.home) in line
        assert "did not answer" not in line

    def test_a_working_folder_that_is_gone_is_told_in_a_sentence(
        self, fresh: CommandLine, tmp_path: Path
    ) -> None:
        """A relative home folder cannot be found from there."""
        code = 'cd "$1" && rmdir "$1" && exec "$0" -m claude_mailbox start'
        done = subprocess.run(
            ["/bin/sh", "-c", code, sys.executable, str(tmp_path)],
            env={**fresh.environment, "CLAUDE_MAILBOX_HOME": "home"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("Error: ")

    def test_a_start_that_fails_says_why(self, fresh: CommandLine) -> None:
        """Here the configuration is wrong; one sentence."""
        (fresh.process.home / "mailbox.json").write_text('{"port": -1}')
        done = fresh.run("start")
        assert (done.returncode, done.stdout) == (1, "")
        assert "'port'" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_a_start_without_the_port_says_what_is_missing(self, fresh: CommandLine) -> None:
        """The daemon runs, and takes the port when it is free."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            (fresh.process.home / "mailbox.json").write_text(json.dumps({"port": port}))
            done = fresh.run("start")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Port {port} is taken" in done.stdout

    @pytest.mark.parametrize("verb", ["start", "stop", "restart"])
    def test_another_daemon_is_left_alone(
        self, fresh: CommandLine, shared: CommandLine, verb: str
    ) -> None:
        """With the address of another home folder's daemon, or one where nobody answers."""
        for url in (shared.process.url, "http://127.0.0.1:9"):
            done = fresh.run(verb, "--url", url)
            if verb == "start" and url == shared.process.url:
                assert done.stdout.startswith("Already running\n")
            else:
                assert (done.returncode, done.stdout) == (1, "")
                assert "is not that of the home folder" in done.stderr
        assert shared.run("status").stdout.startswith("Running\n")

    def test_our_own_daemon_may_be_named_by_its_address(self, own: CommandLine) -> None:
        """`stop --url` stops it."""
        assert own.run("stop", "--url", own.process.url).returncode == 0
        assert own.process.wait() == 0


class TestStatus:
    def test_a_running_daemon(self, shared: CommandLine) -> None:
        """The first word is Running; the rest tells version, addresses, database and mail."""
        shared.send("status-box", "hi")
        done = shared.run("status")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split()[0] == "Running"
        status = json.loads(shared.run("status", "--json").stdout)
        assert status["state"] == "Running"
        assert status["pid"] == shared.process.pid
        assert shared.process.url in status["addresses"]
        assert status["dbPath"] == str(shared.process.database)
        assert status["mailboxes"] >= 1
        assert status["pending"] >= 1

    def test_without_a_daemon_and_autostart(self, fresh: CommandLine) -> None:
        """The first word is NotInstalled, and the reason says how to start it."""
        done = fresh.run("status")
        assert (done.returncode, done.stdout.split()[0]) == (2, "NotInstalled")
        assert "daemon.log" in done.stdout
        assert "claude-mailbox start" in done.stdout

    def test_a_killed_daemon_is_not_running(self, own: CommandLine) -> None:
        """It leaves lock file and socket behind, but does not answer."""
        own.process.kill()
        assert own.run("status", "--json").returncode == 2
        assert own.run("status").stdout.split()[0] in ("Stopped", "NotInstalled")

    def test_a_terminal_gets_a_table(self, shared: CommandLine) -> None:
        """The first line is the state there, too."""
        master, slave = pty.openpty()
        child = shared.spawn("status", stdout=slave)
        os.close(slave)
        assert child.wait() == 0
        output = os.read(master, 65536).decode()
        os.close(master)
        assert "Running" in output.splitlines()[0]


class TestServe:
    def test_flags_override_the_configuration(self, fresh: CommandLine) -> None:
        """It prints one line when it is ready; Ctrl-C ends it with exit code 0."""
        database = fresh.process.home / "other.db"
        child = fresh.spawn("serve", "--port", "0", "--db-path", str(database))
        assert child.stdout is not None
        line = child.stdout.readline()
        assert "http://127.0.0.1:" in line
        assert str(database) in line
        child.send_signal(signal.SIGINT)
        assert child.wait() == 0
        assert database.exists()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--port", "70000"], "'port' on the command line must be from 0 to 65535"),
            (["--port", "http"], "'http' is not a valid integer"),
            (["--hide-after-minutes", "-1"], "'hideAfterMinutes' on the command line"),
            (["--config", "/no/such/file.json"], "Cannot read the configuration"),
            (["--bind", ""], "'bind'"),
        ],
    )
    def test_wrong_settings_are_one_sentence(
        self, fresh: CommandLine, arguments: list[str], words: str
    ) -> None:
        """Exit code 1; the sentence names the key."""
        done = fresh.run("serve", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr

    def test_a_second_daemon_in_the_same_home_folder_is_refused(self, own: CommandLine) -> None:
        """The sentence has the pid of the first one, which still answers."""
        done = own.run("serve", "--port", "0")
        assert done.returncode == 1
        assert f"pid {own.process.pid}" in done.stderr
        assert own.run("peek", "--name", "a").returncode == 0
