"""``doctor`` finds problems, says what to do, and changes nothing."""

import fcntl
import json
import os
import socket
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.server import Peer, Server
from support.commandline import CommandLine
from support.daemon import DaemonProcess


def examine(commandline: CommandLine, *arguments: str) -> tuple[bool, dict[str, dict[str, str]]]:
    """Run doctor; return whether all is well, and the findings by their check."""
    done = commandline.run("doctor", "--json", *arguments)
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["ok"] else 1)
    return document["ok"], {finding["check"]: finding for finding in document["checks"]}


def install(folder: Path, text: str) -> None:
    """Put a command with our name into a folder."""
    path = folder / "claude-mailbox"
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH that has the command."""
    install(tmp_path, f'#!/bin/sh\nexec "{sys.executable}" -m claude_mailbox "$@"\n')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.fixture
def fresh() -> Iterator[CommandLine]:
    """The command line with a home folder without a daemon, and a free port."""
    process = DaemonProcess()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (process.home / "mailbox.json").write_text(json.dumps({"port": port}))
    with CommandLine(process) as commandline:
        try:
            yield commandline
        finally:
            process.close()


class TestHealthy:
    def test_a_running_daemon(self, on_path: Path, own: CommandLine) -> None:
        """Exit code 0, no problem is found, and no mailbox is left."""
        before = own.run("list").stdout
        done = own.run("doctor")
        assert (done.returncode, done.stderr) == (0, "")
        words = {line.split()[0] for line in done.stdout.splitlines()}
        assert words <= {"OK", "NOTE"}
        assert own.run("list").stdout == before
        is_ok, findings = examine(own)
        assert is_ok
        assert {"Python", "Command", "Home", "Config", "Daemon", "Database", "Port"} <= set(
            findings
        )
        assert findings["Command"]["detail"] == str(on_path / "claude-mailbox")
        assert "a message to ourselves and back took" in findings["Round trip"]["detail"]

    def test_an_explicit_url(self, on_path: Path, shared: CommandLine) -> None:
        """The database and port of our home folder are not checked then."""
        is_ok, findings = examine(shared, "--url", shared.process.url)
        assert is_ok
        assert shared.process.url in findings["Daemon"]["detail"]
        assert "Database" not in findings


class TestProblems:
    def test_no_daemon(self, fresh: CommandLine) -> None:
        """It says what to do, and creates nothing."""
        before = sorted(os.listdir(fresh.process.home))
        done = fresh.run("doctor")
        assert done.returncode == 1
        assert "PROBLEM  Daemon: No daemon answers" in done.stdout
        assert "         -> claude-mailbox start\n" in done.stdout
        _, findings = examine(fresh)
        assert findings["Port"]["state"] == "ok"
        assert "Round trip" not in findings
        assert sorted(os.listdir(fresh.process.home)) == before

    def test_the_command_on_the_path(self, shared: CommandLine, tmp_path: Path) -> None:
        """It may be missing, have another version, or be broken."""
        path = {"PATH": "/usr/bin:/bin"}
        done = shared.run("doctor", "--json", environment=path)
        assert "claude-mailbox is not on the PATH" in done.stdout
        path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        for text, words in (
            ("#!/bin/sh\necho claude-mailbox 0.0.9\n", "is version 0.0.9"),
            ("#!/bin/sh\nexit 1\n", "fails"),
            ("#!/no/such/interpreter\n", "does not run"),
        ):
            install(tmp_path, text)
            done = shared.run("doctor", "--json", environment=path)
            finding = json.loads(done.stdout)["checks"][1]
            assert (finding["check"], finding["state"]) == ("Command", "problem")
            assert words in finding["detail"]

    def test_a_home_folder_that_others_can_read(self, fresh: CommandLine) -> None:
        """The remedy is a chmod, which doctor does not run itself."""
        fresh.process.home.chmod(0o755)
        _, findings = examine(fresh)
        assert findings["Home"]["remedy"] == f"chmod 700 {fresh.process.home}"
        assert stat.S_IMODE(fresh.process.home.stat().st_mode) == 0o755

    def test_a_home_folder_that_does_not_exist_yet(self, fresh: CommandLine) -> None:
        """That is no problem before the first start."""
        home = fresh.process.home / "sub"
        done = fresh.run("doctor", "--json", environment={"CLAUDE_MAILBOX_HOME": str(home)})
        finding = json.loads(done.stdout)["checks"][2]
        assert (finding["check"], finding["state"]) == ("Home", "ok")
        assert not home.exists()

    def test_a_broken_configuration(self, fresh: CommandLine) -> None:
        """The finding names the key."""
        (fresh.process.home / "mailbox.json").write_text('{"prot": 1}')
        _, findings = examine(fresh)
        assert "'prot'" in findings["Config"]["detail"]
        (fresh.process.home / "mailbox.json").write_text('{"port": "x"}')
        _, findings = examine(fresh)
        assert "'port'" in findings["Config"]["detail"]

    def test_a_malformed_url(self, fresh: CommandLine) -> None:
        """No daemon can be checked then."""
        is_ok, findings = examine(fresh, "--url", "nonsense")
        assert not is_ok
        assert findings["Address"]["state"] == "problem"

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"not a database at all" * 100, "is not a SQLite database"), (b"", None)],
    )
    def test_a_file_that_is_not_a_database(
        self, fresh: CommandLine, content: bytes, words: str | None
    ) -> None:
        """It is not changed, nor are files made beside it. An empty file is no problem."""
        path = fresh.process.home / "mailbox.db"
        path.write_bytes(content)
        _, findings = examine(fresh)
        finding = findings["Database"]
        if words is not None:
            assert finding["state"] == "problem"
            assert words in finding["detail"]
        assert path.read_bytes() == content
        assert sorted(os.listdir(fresh.process.home)) == ["mailbox.db", "mailbox.json"]

    def test_the_database_of_another_program(self, fresh: CommandLine) -> None:
        """A SQLite file with another application id."""
        path = fresh.process.home / "mailbox.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE theirs (x)")
        connection.close()
        _, findings = examine(fresh)
        assert "is a database of another program" in findings["Database"]["detail"]

    def test_a_damaged_database(self, own: CommandLine) -> None:
        """A page was overwritten; the file is not changed."""
        for number in range(50):
            own.send("doctor-damage", f"{number}" * 500)
        own.process.stop()
        path = own.process.database
        data = bytearray(path.read_bytes())
        data[-8192:-4096] = b"\x55" * 4096
        path.write_bytes(data)
        _, findings = examine(own)
        assert "is damaged" in findings["Database"]["detail"]
        assert path.read_bytes() == data

    def test_another_program_on_the_port(self, fresh: CommandLine) -> None:
        """The finding has its pid."""
        port = json.loads((fresh.process.home / "mailbox.json").read_text())["port"]
        with socket.create_server(("127.0.0.1", port)) as server:

            def serve() -> None:
                sock, _ = server.accept()
                with sock:
                    sock.recv(1000)
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

            thread = threading.Thread(target=serve)
            thread.start()
            _, findings = examine(fresh)
            thread.join()
        assert findings["Port"]["state"] == "problem"
        assert "which is not claude-mailbox" in findings["Port"]["detail"]
        assert f"pid {os.getpid()}" in findings["Port"]["detail"]

    def test_the_daemon_of_another_home_folder_on_the_port(
        self, fresh: CommandLine, shared: CommandLine
    ) -> None:
        """MCP clients would use that one."""
        (fresh.process.home / "mailbox.json").write_text(json.dumps({"port": shared.process.port}))
        _, findings = examine(fresh)
        detail = findings["Port"]["detail"]
        assert f"of another home folder (pid {shared.process.pid})" in detail

    def test_an_older_daemon_that_cannot_store(self, fresh: CommandLine) -> None:
        """Version, MCP and round trip are findings of their own."""

        def script(peer: Peer) -> None:
            peer.read()
            peer.respond(b'{"status":"ok","version":"0.0.9","pid":1,"mcp":"starting"}')
            peer.read()
            peer.respond(b'{"error":"The disk is full.","reason":"unavailable"}', "503 x")

        with Server(script) as server:
            _, findings = examine(fresh, "--url", str(server.address))
        assert "the daemon is version 0.0.9" in findings["Version"]["detail"]
        assert findings["MCP"]["state"] == "note"
        assert findings["Round trip"]["detail"] == "The disk is full."

    def test_a_message_that_does_not_come_back(self, fresh: CommandLine) -> None:
        """The round trip compares the text of the message."""

        def script(peer: Peer) -> None:
            peer.read()
            peer.respond(b'{"status":"ok","version":"0","pid":1}')
            peer.read()
            peer.respond(b"{}")
            peer.read()
            peer.respond(b"[]")
            peer.read()
            peer.respond(b'{"deleted":true}')

        with Server(script) as server:
            _, findings = examine(fresh, "--url", str(server.address))
        assert findings["Round trip"]["detail"] == "the message did not come back"

    def test_a_daemon_that_hangs(self, fresh: CommandLine) -> None:
        """It holds the lock, but does not answer."""
        lock = fresh.process.home / "mailbox.lock"
        lock.write_text('{"pid": 4711}')
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _, findings = examine(fresh)
        assert "it runs (pid 4711) but does not answer" in findings["Daemon"]["detail"]
        assert findings["Daemon"]["remedy"] == "claude-mailbox restart"
