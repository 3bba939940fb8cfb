"""Checking before an install that the daemon can have its port."""

import os
import socket
import threading

import pytest

from claude_mailbox.autostart.home_daemon import HomeDaemon, RunningDaemon
from claude_mailbox.autostart.port_check import check_port
from claude_mailbox.errors import StartupError
from support.daemon import DaemonProcess


class OtherServer:
    """Listens on a port and sends one fixed response."""

    def __init__(self, response: bytes) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._response = response
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        with client:
            client.recv(4096)
            client.sendall(self._response)

    def close(self) -> None:
        self._thread.join()
        self._server.close()


def test_a_free_port() -> None:
    """Nobody listens, so there is no error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    check_port("127.0.0.1", port, None)


def test_port_0() -> None:
    """The system is going to choose a free one."""
    check_port("127.0.0.1", 0, None)


def test_the_port_of_our_own_daemon(daemon: DaemonProcess) -> None:
    """The install stops it or keeps it."""
    check_port("127.0.0.1", daemon.port, HomeDaemon(str(daemon.home)).running())
    check_port("0.0.0.0", daemon.port, HomeDaemon(str(daemon.home)).running())


def test_the_port_of_another_home_folder(daemon: DaemonProcess) -> None:
    """The sentence names its database."""
    with pytest.raises(StartupError, match=r"another home folder.*mailbox\.db"):
        check_port("127.0.0.1", daemon.port, RunningDaemon(1))


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"220 smtp\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_the_port_of_another_program(response: bytes) -> None:
    """Every response but our health counts as such; the sentence has the pid."""
    server = OtherServer(response)
    try:
        with pytest.raises(StartupError, match=rf"\(pid {os.getpid()}\), which is not claude"):
            check_port("127.0.0.1", server.port, None)
    finally:
        server.close()
