"""The daemon of a home folder, and whoever is at its port, seen from outside; all for real."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox.autostart import resident as resident_module
from claude_mailbox.autostart.resident import Resident, Running, check_port
from claude_mailbox.errors import AutostartError, StartupError
from support.daemon import DaemonProcess

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(sys.argv[2])
file.flush()
print(flush=True)
sys.stdin.read()
"""


class Stranger:
    """Listens on a port and gives everybody the same answer."""

    def __init__(self, answer: bytes) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        with client:
            client.recv(4096)
            client.sendall(self._answer)

    def close(self) -> None:
        self._thread.join()
        self._server.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits in vain end at once."""
    for name in ("READY_SECONDS", "STOP_SECONDS"):
        monkeypatch.setattr(resident_module, name, -1.0)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the lock and says nothing."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "mailbox.lock"), ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        yield process
        process.kill()


class TestResident:
    def test_a_daemon_is_seen_and_asked_to_leave(self, daemon: DaemonProcess) -> None:
        """Pid and addresses come from the lock file, and stop returns when it has left."""
        resident = Resident(str(daemon.home))
        found = resident.running()
        assert found.pid == daemon.pid
        assert found.addresses[0] == daemon.url
        assert resident.await_ready("", lambda: False) == found
        resident.stop()
        assert resident.running() is None
        assert daemon.wait() == 0

    def test_a_killed_daemon_is_gone(self, daemon: DaemonProcess) -> None:
        """Its pid in the file means nothing without the lock."""
        daemon.kill()
        assert (daemon.home / "mailbox.lock").read_text() != ""
        resident = Resident(str(daemon.home))
        assert resident.running() is None
        resident.stop()

    @pytest.mark.parametrize("there", [True, False])
    def test_nobody(self, tmp_path: Path, there: bool) -> None:
        """No folder, no daemon."""
        assert Resident(str(tmp_path if there else tmp_path / "none")).running() is None

    @pytest.mark.usefixtures("impatient", "held")
    def test_a_holder_that_says_nothing(self, tmp_path: Path) -> None:
        """We neither stop nor replace what we do not know."""
        with pytest.raises(AutostartError, match="does not say what it is"):
            Resident(str(tmp_path)).running()

    def test_one_that_ends_in_between(
        self, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pid that is gone needs no signal."""
        kill = os.kill

        def kill_late(pid: int, number: int) -> None:
            kill(pid, signal.SIGKILL)
            daemon.wait()
            kill(pid, number)

        monkeypatch.setattr(os, "kill", kill_late)
        Resident(str(daemon.home)).stop()
        assert Resident(str(daemon.home)).running() is None

    @pytest.mark.usefixtures("impatient")
    def test_one_that_does_not_leave(self, daemon: DaemonProcess) -> None:
        """It is said which, and nothing goes on."""
        found = Resident(str(daemon.home)).running()
        with pytest.raises(AutostartError, match=rf"pid {daemon.pid}\) did not end"):
            Resident(str(daemon.home)).await_end(found)

    @pytest.mark.usefixtures("impatient")
    def test_one_that_is_not_ready_in_time(self, tmp_path: Path) -> None:
        """The log says why."""
        with pytest.raises(AutostartError, match=r"not ready after .* why: the log"):
            Resident(str(tmp_path)).await_ready("the log", lambda: False)

    def test_one_that_fails(self, tmp_path: Path) -> None:
        """There is no point in waiting."""
        with pytest.raises(AutostartError, match="fails at its start"):
            Resident(str(tmp_path)).await_ready("the log", lambda: True)

    def test_somebody_else_s(self, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
        """We may not end it."""

        def refuse(_pid: int, _signal: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        with pytest.raises(AutostartError, match="another user"):
            Resident(str(daemon.home)).stop()


class TestCheckPort:
    def test_a_free_port(self) -> None:
        """Nobody, no error."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        check_port("127.0.0.1", port, None)

    def test_any_free_port(self) -> None:
        """Port 0 is always free."""
        check_port("127.0.0.1", 0, None)

    def test_our_own(self, daemon: DaemonProcess) -> None:
        """The daemon that will be handed over is not in the way."""
        check_port("127.0.0.1", daemon.port, Resident(str(daemon.home)).running())
        check_port("0.0.0.0", daemon.port, Resident(str(daemon.home)).running())

    def test_another_home_s(self, daemon: DaemonProcess) -> None:
        """It is said whose database it has."""
        with pytest.raises(StartupError, match=r"another home folder.*mailbox\.db"):
            check_port("127.0.0.1", daemon.port, Running(1))

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"220 smtp\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
            b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}',
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        ],
    )
    def test_a_stranger(self, answer: bytes) -> None:
        """Whoever does not have our health is one, and is named."""
        stranger = Stranger(answer)
        try:
            with pytest.raises(StartupError, match=rf"\(pid {os.getpid()}\), which is not claude"):
                check_port("127.0.0.1", stranger.port, None)
        finally:
            stranger.close()
