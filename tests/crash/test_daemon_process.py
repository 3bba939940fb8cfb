"""The fixture that the others stand on."""

import importlib.util
import sys

import httpx
import pytest

from support.daemon import DaemonProcess
from support.forked import IMPORTED


class TestDaemonProcess:
    def test_answers_on_both_transports(self, daemon: DaemonProcess) -> None:
        """A started daemon is healthy, under its pid, on TCP and on the Unix socket."""
        assert daemon.pid == httpx.get(f"{daemon.url}/health").json()["pid"]
        with httpx.Client(transport=httpx.HTTPTransport(uds=daemon.socket_path)) as client:
            assert daemon.pid == client.get("http://localhost/health").json()["pid"]

    def test_restarts_on_the_same_port(self, daemon: DaemonProcess) -> None:
        """A restart after kill -9 keeps home and port and changes the pid."""
        url, pid = daemon.url, daemon.pid
        daemon.restart(same_port=True)
        assert url == daemon.url
        assert pid != httpx.get(f"{daemon.url}/health").json()["pid"]

    def test_a_traceback_fails_the_test(self) -> None:
        """What is logged as a traceback does not go unnoticed."""
        process = DaemonProcess(command=[sys.executable, "-c", "raise ValueError(42)"])
        process.spawn().wait()
        with pytest.raises(AssertionError, match="ValueError: 42"):
            process.close()

    @pytest.mark.parametrize("module", IMPORTED)
    def test_is_forked_where_this_module_can_be_imported(self, module: str) -> None:
        """Otherwise each daemon would import it, and nobody would hear of it."""
        assert importlib.util.find_spec(module) is not None
