"""Files that are removed while the daemon uses them."""

import os
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from support.commandline import CommandLine, until
from support.daemon import DaemonProcess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there files in use stay")


def send(process: DaemonProcess, body: str = "x") -> httpx.Response:
    """Send a message by TCP."""
    return httpx.post(
        f"{process.url}/v1/send", headers={"X-Mailbox": "a"}, json={"to": "b", "body": body}
    )


class TestDatabase:
    @pytest.mark.parametrize("how", ["removed", "replaced", "home"])
    def test_a_removed_database_ends_the_daemon(self, daemon: DaemonProcess, how: str) -> None:
        """The answer is 503 at once; what lies there then is not touched."""
        assert send(daemon).status_code == 200
        if how == "home":
            daemon.home.rename(daemon.home.with_name("elsewhere"))
        else:
            daemon.database.unlink()
        if how == "replaced":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{daemon.database}{suffix}").write_bytes(b"theirs" * 1000)
        try:
            answer = send(daemon, "into nothing")
        except httpx.TransportError:
            pass  # it has ended already
        else:
            assert answer.status_code == 503
            assert "removed or replaced" in answer.json()["error"] or answer.json()["reason"] == (
                "shutting-down"
            )
        assert daemon.wait() == 1
        assert "was removed or replaced" in daemon.log()
        if how == "replaced":
            for suffix in ("", "-wal", "-shm"):
                content = Path(f"{daemon.database}{suffix}").read_bytes()
                assert content == b"theirs" * 1000
        if how == "home":
            assert not daemon.home.exists()

    def test_another_home_folder_in_its_place_is_noticed(self, daemon: DaemonProcess) -> None:
        """Its files are left alone."""
        daemon.home.rename(daemon.home.with_name("elsewhere"))
        shutil.copytree(daemon.home.with_name("elsewhere"), daemon.home, ignore=_no_sockets)
        before = sorted(os.listdir(daemon.home))
        assert daemon.wait() == 1
        assert sorted(os.listdir(daemon.home)) == before


def _no_sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".sock")]


class TestSocket:
    def test_a_removed_socket_is_made_again(self, daemon: DaemonProcess) -> None:
        """Hooks find the daemon again without a restart, and clients that are there stay."""
        path = daemon.home / "mailbox.sock"
        for make in (path.unlink, lambda: (path.unlink(), path.write_text("theirs"))):
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                assert client.get("http://localhost/health").status_code == 200
                make()
                until(path.is_socket, "the socket")
                assert client.get("http://localhost/health").status_code == 200
            with CommandLine(daemon) as commandline:
                until(
                    lambda run=commandline.run: run("peek", "--name", "a").returncode == 0,
                    "an answer",
                )
