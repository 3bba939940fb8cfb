"""A session whose daemon is on another machine: its home folder is another one than the daemon's."""

import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commandline import CommandLine, kill_all_in, until
from support.network import NetworkDaemon

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
_numbers = itertools.count(1)


class Elsewhere(CommandLine):
    """The command line of another machine, with a client process that has one session."""

    def __init__(self, network: NetworkDaemon, home: Path, **environment: str) -> None:
        self.client_process = subprocess.Popen(["sleep", "1000"])
        self.home = home
        digits = f"{next(_numbers):08x}"
        self.session, self.name = f"{digits}-0000", f"far-{digits}"
        super().__init__(
            network,
            {
                **network.client_environment,
                "CLAUDE_MAILBOX_HOME": str(home),
                "CLAUDE_MAILBOX_PREFIX": "far",
                "CLAUDE_PID": str(self.client_process.pid),
                **environment,
            },
        )

    def hook(self, command: str, event: str, **fields: str) -> dict[str, object]:
        """Run a hook's command; return what it prints."""
        told = {"session_id": self.session, "cwd": "/", "hook_event_name": event, **fields}
        done = self.run(*command.split(), text=json.dumps(told))
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def announce(self) -> Path:
        """Start the session; return its bell when something listens for its rings."""
        answer = self.hook("session-announce", "SessionStart")["hookSpecificOutput"]
        assert isinstance(answer, dict)
        assert "wakes you" in answer["additionalContext"]
        (bell,) = answer["watchPaths"]
        self.wait_until_woken()
        return Path(bell)

    def is_woken(self) -> bool:
        """Return whether the daemon says that mail wakes the session."""
        sent = self.run("send", "--from", "peer", "--to", self.name, "--body", "x", "--json")
        return bool(json.loads(sent.stdout)["recipient"]["wakes"])

    def wait_until_woken(self, *, is_woken: bool = True) -> None:
        """Wait until it is so."""
        until(lambda: self.is_woken() is is_woken, f"wakes: {is_woken}")

    def companions(self) -> list[int]:
        """Return the companions that run."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                is_one = b"session-companion" in (entry / "cmdline").read_bytes()
                mine = f"CLAUDE_MAILBOX_HOME={self.home}".encode()
                if is_one and mine in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


@pytest.fixture(scope="module")
def network() -> Iterator[NetworkDaemon]:
    """The daemon."""
    with NetworkDaemon() as process:
        yield process


@pytest.fixture
def elsewhere(network: NetworkDaemon, tmp_path: Path) -> Iterator[Elsewhere]:
    """The other machine."""
    with Elsewhere(network, tmp_path / "home") as commands:
        yield commands
        commands.client_process.kill()
        commands.client_process.wait()
        kill_all_in(commands.home)


def rung(bell: Path, before: bytes) -> None:
    """Wait for a ring after the one that left *before* in the file."""
    until(lambda: bell.read_bytes() not in (before, b""), "a ring")


def test_mail_rings_the_bell_on_the_sessions_machine(elsewhere: Elsewhere) -> None:
    """And only there."""
    bell = elsewhere.announce()
    assert bell.parent == elsewhere.home / "bells"
    elsewhere.hook("check --hook", "UserPromptSubmit")
    before = bell.read_bytes()
    elsewhere.run("send", "--from", "peer", "--to", elsewhere.name, "--body", "wake up")
    rung(bell, before)
    woken = json.dumps(
        {"session_id": elsewhere.session, "hook_event_name": "FileChanged", "file_path": str(bell)}
    )
    done = elsewhere.run("check", "--hook", "--wake", text=woken)
    assert done.returncode == 2
    assert "wake up" in done.stderr
    assert not (elsewhere.process.home / "bells" / elsewhere.session).exists()


def test_a_session_has_one_companion(elsewhere: Elsewhere) -> None:
    """However often the session is announced, and it ends with the session."""
    bell = elsewhere.announce()
    assert elsewhere.announce() == bell
    elsewhere.hook("session-event", "Stop")
    until(lambda: len(elsewhere.companions()) == 1, "one companion")
    elsewhere.hook("session-end", "SessionEnd", reason="prompt_input_exit")
    until(lambda: not elsewhere.companions(), "its end")
    assert list(bell.parent.iterdir()) == []


def test_the_end_of_a_turn_does_not_ring_beside_a_companion(elsewhere: Elsewhere) -> None:
    """Its hook only looks whether one still runs: here it is the test that holds its lock."""
    bell = elsewhere.home / "bells" / elsewhere.session
    bell.parent.mkdir(parents=True)
    bell.write_text("as it was")
    with open(f"{bell}.companion", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        elsewhere.hook("session-event", "Stop")
    assert bell.read_text() == "as it was"
    assert elsewhere.companions() == []


def test_a_killed_client_is_reported(elsewhere: Elsewhere) -> None:
    """The companion tells that the session has ended."""
    bell = elsewhere.announce()
    elsewhere.client_process.kill()
    elsewhere.client_process.wait()
    until(lambda: not elsewhere.companions(), "the companion's end")
    assert not bell.exists()
    sent = elsewhere.run("send", "--from", "peer", "--to", elsewhere.name, "--body", "x", "--json")
    recipient = json.loads(sent.stdout)["recipient"]
    assert (recipient["state"], recipient["wakes"]) == ("ended", False)


def test_a_killed_companion_is_noticed_and_replaced(elsewhere: Elsewhere) -> None:
    """By the daemon at once, and by the next hook, which starts another."""
    elsewhere.announce()
    (companion,) = elsewhere.companions()
    os.kill(companion, signal.SIGKILL)
    elsewhere.wait_until_woken(is_woken=False)
    elsewhere.hook("session-event", "Stop")
    elsewhere.wait_until_woken()
    assert elsewhere.companions() != [companion]


def test_a_session_that_is_resumed_at_once_is_woken(elsewhere: Elsewhere) -> None:
    """The companion of the client that was killed may not have noticed yet."""
    elsewhere.announce()
    (former,) = elsewhere.companions()
    os.kill(former, signal.SIGSTOP)
    elsewhere.client_process.kill()
    elsewhere.client_process.wait()
    elsewhere.client_process = subprocess.Popen(["sleep", "1000"])
    elsewhere.environment["CLAUDE_PID"] = str(elsewhere.client_process.pid)
    elsewhere.hook("session-announce", "SessionStart", source="resume")
    os.kill(former, signal.SIGCONT)
    until(lambda: former not in elsewhere.companions(), "the former one's end")
    elsewhere.wait_until_woken()
    elsewhere.client_process.kill()
    elsewhere.client_process.wait()
    until(lambda: not elsewhere.companions(), "the end of the other one")


def test_a_companion_connects_again_after_a_restart(tmp_path: Path) -> None:
    """After a restart of the daemon; mail that came meanwhile rings."""
    with NetworkDaemon() as network, Elsewhere(network, tmp_path / "home") as elsewhere:
        bell = elsewhere.announce()
        elsewhere.hook("check --hook", "UserPromptSubmit")
        network.kill()
        before = bell.read_bytes()
        network.restart(same_port=True)
        elsewhere.run("send", "--from", "peer", "--to", elsewhere.name, "--body", "x")
        rung(bell, before)
        elsewhere.client_process.kill()
        elsewhere.client_process.wait()
        kill_all_in(elsewhere.home)
