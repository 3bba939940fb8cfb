"""Commands about the daemon, where that is on another machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commandline import CommandLine
from support.network import NetworkDaemon


@pytest.fixture(scope="module")
def network() -> Iterator[NetworkDaemon]:
    """The daemon."""
    with NetworkDaemon() as network:
        yield network


@pytest.fixture
def there(network: NetworkDaemon, tmp_path: Path) -> Iterator[CommandLine]:
    """The command line of the other machine, with a home folder of its own."""
    home = {"CLAUDE_MAILBOX_HOME": str(tmp_path / "home")}
    with CommandLine(network, {**network.client_environment, **home}) as commands:
        yield commands


def test_status_tells_what_a_token_may_know(there: CommandLine, network: NetworkDaemon) -> None:
    """And nothing of this machine, whose autostart and log have nothing to do with it."""
    done = there.run("status", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["state"], told["pid"]) == ("Running", network.pid)
    assert told["mailboxes"] >= 0
    assert not {"autostart", "log", "held"} & told.keys()


def test_status_says_that_it_does_not_run(there: CommandLine) -> None:
    """It may be installed or not: this machine does not know."""
    done = there.run("status", "--url", "https://127.0.0.1:1")
    assert (done.returncode, done.stdout.split()[0]) == (2, "Stopped")


@pytest.mark.parametrize("command", ["backup", "export"])
def test_its_database_is_not_looked_for_here(
    command: str, there: CommandLine, network: NetworkDaemon, tmp_path: Path
) -> None:
    """A file at the same path belongs to somebody else; here it is the daemon's own."""
    assert network.database.exists()
    done = there.run(command, str(tmp_path / "copy"))
    assert done.returncode == 1
    assert "on the daemon's own machine" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_doctor_finds_no_fault_with_the_address(there: CommandLine) -> None:
    """Clients are to be sent there."""
    found = json.loads(there.run("doctor", "--json").stdout)["checks"]
    states = {check["check"]: check["state"] for check in found}
    assert (states["Daemon"], states["Clients"], states["Round trip"]) == ("ok", "ok", "ok")


def test_doctor_makes_do_with_a_token_for_other_mailboxes(
    there: CommandLine, network: NetworkDaemon
) -> None:
    """And with a socket that is forwarded from the daemon's machine."""
    token = network.create_token("web-*")
    done = there.run("doctor", "--json", environment={"CLAUDE_MAILBOX_TOKEN": token})
    states = {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states["Round trip"] == "note"
    forwarded = {"CLAUDE_MAILBOX_URL": f"unix:{network.socket_path}", "HTTP_PROXY": ""}
    done = there.run("doctor", "--json", environment=forwarded)
    states = {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert (states["Clients"], states["Proxy"], states["Round trip"]) == ("note", "ok", "ok")


def test_doctor_does_not_start_it(there: CommandLine) -> None:
    """It says where that can be done."""
    unreachable = {"CLAUDE_MAILBOX_URL": "https://127.0.0.1:1"}
    found = json.loads(there.run("doctor", "--json", environment=unreachable).stdout)["checks"]
    (daemon,) = (check for check in found if check["check"] == "Daemon")
    assert "on its own machine" in daemon["remedy"]
