"""Another machine: a network namespace, joined to ours by a pair of virtual network cards."""

import json
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

from e2e.harness.mail import Mail
from e2e.harness.waiting import TIMEOUT
from support.commandline import processes_in
from support.daemon import COMMAND
from support.network import NetworkDaemon

ADDRESS, OUR_ADDRESS = "10.83.0.1", "10.83.0.2"
PORT = 37849
_OUR_CARD, _CARD = "mailbox-here", "mailbox-there"


class OtherMachine:
    """The namespace and the cards, as a context manager; the test is skipped where there can be none.

    Attributes:
        command: what to put before a command that is to run there.
    """

    def __init__(self) -> None:
        self.command: tuple[str, ...] = ()

    def __enter__(self) -> "OtherMachine":
        script = "ip link set lo up && echo ready && exec sleep infinity"
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self._end()
            pytest.skip("this system allows no second network namespace")
        self.command = ("nsenter", f"--net=/proc/{self._process.pid}/ns/net")
        pair = ("type", "veth", "peer", "name", _CARD, "netns", str(self._process.pid))
        if (problem := _ip("link", "add", _OUR_CARD, *pair)) is not None:
            self._end()
            pytest.skip(f"this system joins no network namespaces: {problem}")
        for command, card, address in (
            ((), _OUR_CARD, OUR_ADDRESS),
            (self.command, _CARD, ADDRESS),
        ):
            assert _ip("address", "add", f"{address}/24", "dev", card, before=command) is None
            assert _ip("link", "set", card, "up", before=command) is None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The namespace goes some time after its last process, and the cards with it: too late.
        _ip("link", "delete", _OUR_CARD)
        self._end()

    def unplug(self) -> None:
        """Cut the connection: what is sent from now on gets lost."""
        assert _ip("link", "set", _OUR_CARD, "down") is None

    def plug_in(self) -> None:
        """Restore the connection."""
        assert _ip("link", "set", _OUR_CARD, "up") is None

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


class DistantMail(Mail):
    """Mail whose daemon is on another machine, with TLS and a token.

    `env` is that of the client's machine, which has a home folder of its own; the commands that the
    test runs are the daemon's machine's, and reach the daemon by its Unix socket.

    Args:
        machine: where the daemon is.
        folder: where the home folder of the client's machine is made.
    """

    def __init__(self, machine: OtherMachine, folder: Path) -> None:
        self._network = NetworkDaemon(
            {"bind": ADDRESS, "port": PORT},
            names=(ADDRESS,),
            command=(*machine.command, *COMMAND),
        )
        super().__init__(self._network, PORT)
        self.url = f"https://{ADDRESS}:{PORT}"
        self.client_home = folder / "mailbox"
        self.client_home.mkdir(mode=0o700)
        authority = str(self._network.authority)
        self.env |= {
            "CLAUDE_MAILBOX_HOME": str(self.client_home),
            "CLAUDE_MAILBOX_URL": self.url,
            "CLAUDE_MAILBOX_CA": authority,
            "NODE_EXTRA_CA_CERTS": authority,
        }

    @property
    def process_environment(self) -> dict[str, str]:
        return {**self._network.environment, "PATH": self.env["PATH"]}

    def start(self) -> None:
        """Start the daemon; the client's machine has its token then."""
        super().start()
        (self.client_home / "my.token").write_text(self._network.token)
        (self.client_home / "mailbox.json").write_text(json.dumps({"tokenFile": "my.token"}))

    def use_variable(self) -> None:
        """Give the client's machine the token by the environment, in place of a file."""
        (self.client_home / "mailbox.json").unlink()
        self.env["CLAUDE_MAILBOX_TOKEN"] = self._network.token

    def run_there(self, *arguments: str) -> str:
        """Run ``claude-mailbox`` on the client's machine, and return what it prints."""
        done = subprocess.run(
            ["claude-mailbox", *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def companions(self) -> list[int]:
        """Return the processes on the client's machine that ring its sessions."""
        return [
            pid
            for pid in processes_in(self.client_home)
            if b"session-companion" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]


def _ip(*words: str, before: tuple[str, ...] = ()) -> str | None:
    """Run ``ip``; return what it says when it fails."""
    done = subprocess.run([*before, "ip", *words], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else None
