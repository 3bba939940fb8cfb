"""The daemon's sockets."""

import os
import socket
import stat
from pathlib import Path

import pytest

from claude_mailbox.daemon.http.sockets import open_tcp, open_unix
from claude_mailbox.errors import StartupError


class TestTcp:
    @pytest.mark.parametrize("bind", ["127.0.0.1", "localhost", "::1", "[::1]"])
    def test_it_listens_on_the_address(self, bind: str) -> None:
        """On a free port; the address is one that clients can use."""
        try:
            listener = open_tcp(bind, 0)
        except StartupError:
            if ":" in bind:
                pytest.skip("no IPv6 here")
            raise
        host, _, port = listener.address.removeprefix("http://").rpartition(":")
        assert host == (f"[{bind.strip('[]')}]" if ":" in bind else bind)
        with socket.create_connection((bind.strip("[]"), int(port)), timeout=10):
            pass
        listener.socket.close()

    def test_a_taken_port_is_refused(self) -> None:
        """The sentence names it, and two ways out."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(StartupError, match=rf"Port {port} is taken.*--port.*mailbox.json"):
                open_tcp("127.0.0.1", port)

    @pytest.mark.parametrize(
        "bind", ["192.0.2.1", "no such host", "a" * 70, "a..b", "nul\0", "x:y", "\udc80"]
    )
    def test_a_malformed_address_is_refused(self, bind: str) -> None:
        """Whatever is wrong with it, the sentence names the flag."""
        with pytest.raises(StartupError, match="another address with --bind"):
            open_tcp(bind, 0)

    @pytest.mark.parametrize("port", [-1, 65536, 2**40])
    def test_a_malformed_port_is_refused(self, port: int) -> None:
        """The sentence names the range."""
        with pytest.raises(StartupError, match="from 0 to 65535"):
            open_tcp("127.0.0.1", port)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
class TestUnix:
    def test_only_our_user_can_connect(self, scratch: Path) -> None:
        """The file may be used by its owner only."""
        path = str(scratch / "mailbox.sock")
        listener = open_unix(path)
        assert listener is not None
        assert listener.address == f"unix:{path}"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        listener.socket.close()

    def test_a_leftover_is_replaced(self, scratch: Path) -> None:
        """A killed daemon's socket, or whatever lies in its place."""
        path = scratch / "mailbox.sock"
        for make in (path.touch, lambda: path.symlink_to("nowhere"), lambda: os.mkfifo(path)):
            path.unlink(missing_ok=True)
            make()
            listener = open_unix(str(path))
            assert listener is not None
            listener.socket.close()

    @pytest.mark.parametrize("name", ["missing/mailbox.sock", "folder"])
    def test_a_socket_that_cannot_be_made_is_an_error(self, scratch: Path, name: str) -> None:
        """The sentence names the home folder."""
        (scratch / "folder").mkdir()
        with pytest.raises(StartupError, match="CLAUDE_MAILBOX_HOME"):
            open_unix(str(scratch / name))
