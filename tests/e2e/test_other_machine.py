"""A session whose daemon is on another machine: across a network, with TLS and a token."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import FAILED, Measure, Sessions
from e2e.harness.claude import Claude
from e2e.harness.machines import DistantMail, OtherMachine
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.other_clients import CLIENTS, Installation
from e2e.harness.other_model import OtherModel
from e2e.harness.plugin import Peer, Plugin
from e2e.harness.waiting import eventually
from e2e.test_other_clients import own_name

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def machine() -> Iterator[OtherMachine]:
    """The daemon's machine."""
    with OtherMachine() as machine:
        yield machine


@pytest.fixture
def mail(
    request: pytest.FixtureRequest, machine: OtherMachine, folder: Path
) -> Iterator[DistantMail]:
    """The mail system there, and the home folder here."""
    mail = DistantMail(machine, folder)
    mail.start()
    yield mail
    mail.close(is_failing=request.node.stash.get(FAILED, True))


def companion_of(mail: DistantMail) -> int:
    """Return the process that rings the only session, once there is exactly one."""
    eventually(lambda: len(mail.companions()) == 1, lambda: f"companions: {mail.companions()}")
    return mail.companions()[0]


def assert_woken(mail: DistantMail, peer: Peer, body: str) -> None:
    """Send a message to the idle session, and assert that it starts a turn."""
    mail.send(peer.name, body)
    assert "outside" in peer.model.wait_for(body).news
    peer.session.wait_idle()


def test_it_is_introduced_woken_and_has_tools(
    mail: DistantMail, sessions: Sessions, measure: Measure
) -> None:
    """With nothing in the daemon's home folder, and nothing of the daemon's in its own."""

    def script(request: Request) -> Text | ToolCall:
        if "Is it green?" in request.news:
            return call("mailbox__send", to="outside", body="It is.")
        return say("All right.")

    peer = sessions.start_peer(script)
    peer.session.ask("Hello")
    assert peer.name in peer.model.requests[0].news
    assert "wakes you" in peer.model.requests[0].news
    companion = companion_of(mail)
    assert_woken(mail, peer, "the build is red")
    assert_woken(mail, peer, "Is it green?")
    (answer,) = json.loads(mail.run("check", "--name", "outside", "--json"))
    assert (answer["from"], answer["body"]) == (peer.name, "It is.")
    assert mail.companions() == [companion]
    assert not list((mail.home / "bells").glob("*"))
    assert not list(mail.client_home.glob("mailbox.*[!n]"))
    peer.assert_read_once("the build is red", "Is it green?")


def test_it_is_woken_after_the_daemon_died(mail: DistantMail, sessions: Sessions) -> None:
    """By the same companion, which connects again."""
    peer = sessions.start_peer(quiet)
    peer.session.ask("Hello")
    companion = companion_of(mail)
    mail.kill()
    mail.start()
    assert_woken(mail, peer, "the build is green")
    assert mail.companions() == [companion]
    peer.assert_read_once("the build is green")


def test_it_is_woken_when_the_network_is_back(
    mail: DistantMail, machine: OtherMachine, sessions: Sessions
) -> None:
    """By mail that came meanwhile, and by what comes afterwards."""
    peer = sessions.start_peer(quiet)
    peer.session.ask("Hello")
    companion_of(mail)
    machine.unplug()
    mail.send(peer.name, "sent while the network was away")
    machine.plug_in()
    peer.model.wait_for("sent while the network was away")
    peer.session.wait_idle()
    assert_woken(mail, peer, "the build is green")
    peer.assert_read_once("sent while the network was away", "the build is green")


def test_it_is_woken_after_its_companion_died(mail: DistantMail, sessions: Sessions) -> None:
    """The daemon notices the death, and the hook at the end of the next turn starts another."""
    peer = sessions.start_peer(quiet)
    peer.session.ask("Hello")
    companion = companion_of(mail)
    eventually(
        lambda: mail.send(peer.name, "before")["recipient"]["wakes"], lambda: "nothing wakes it"
    )
    peer.model.wait_for("before")
    peer.session.wait_idle()
    os.kill(companion, signal.SIGKILL)
    eventually(
        lambda: not mail.send(peer.name, "unnoticed")["recipient"]["wakes"],
        lambda: "the death was not noticed",
    )
    assert "unnoticed" not in peer.model.requests[-1].news
    peer.session.ask("Anything new?")
    assert "unnoticed" in peer.model.requests[-1].news
    assert companion_of(mail) != companion
    assert_woken(mail, peer, "the build is green")


@pytest.mark.parametrize("end", ["exits", "is killed"])
def test_no_companion_is_left_when_the_client(
    end: str, mail: DistantMail, sessions: Sessions
) -> None:
    """The daemon knows that the session has ended, and the doorbell file is gone."""
    peer = sessions.start_peer(quiet)
    peer.session.ask("Hello")
    companion_of(mail)
    mail.send(peer.name, "keeps the mailbox", "--urgency", "low")
    if end == "exits":
        peer.session.exit()
    else:
        peer.session.kill()
    eventually(lambda: not mail.companions(), lambda: f"companions: {mail.companions()}")
    assert not list((mail.client_home / "bells").iterdir())
    receipt = mail.send(peer.name, "too late")["recipient"]
    assert (receipt["state"], receipt["wakes"]) == ("ended", False)


def test_claude_code_without_the_plugin(
    mail: DistantMail, claude: Claude, sessions: Sessions
) -> None:
    """What ``install`` writes has the name of the variable; tools and waking work with its token."""
    mail.use_variable()
    mail.env["HOME"] = str(claude.home)
    claude.env |= mail.env
    mail.run_there("install", "claude-code")
    assert "${CLAUDE_MAILBOX_TOKEN}" in (claude.home / ".claude.json").read_text()

    def script(request: Request) -> Text | ToolCall:
        if "Is it green?" in request.news:
            return call("mailbox__send", to="outside", body="It is.")
        return say("All right.")

    peer = sessions.start_peer(script, Plugin(("--allowedTools", "mcp__mailbox")))
    peer.session.ask("Hello")
    assert_woken(mail, peer, "Is it green?")
    (answer,) = json.loads(mail.run("check", "--name", "outside", "--json"))
    assert (answer["from"], answer["body"]) == (peer.name, "It is.")
    peer.assert_read_once("Is it green?")


# Not OpenCode: where there is a network card without a network, it now and then stays in a busy loop
# at its start, before it runs anything of ours.
@pytest.mark.parametrize("word", ["codex", "gemini", "qwen"])
def test_another_client_with_what_install_writes(
    word: str, mail: DistantMail, folder: Path
) -> None:
    """Its sessions have a name, tools, and their mail with each prompt."""
    client = CLIENTS[word]
    with OtherModel(client.tool) as model:
        mail.use_variable()
        installation = Installation(word, folder, model, mail)
        mail.run_there("install", word)
        model.plan = [call(client.send, to="outside", body="from the tool")]
        installation.run(client.first, "Write to them.")
        name = own_name(model.requests[0])
        (sent,) = json.loads(mail.run("check", "--name", "outside", "--json"))
        assert (sent["from"], sent["body"]) == (name, "from the tool")
        mail.send(name, "before the prompt")
        installation.run(client.again, "Go on.")
        assert model.requests[-1].count("  before the prompt") == 1
        assert mail.pending(name) == 0


@pytest.mark.parametrize("word", ["codex", "gemini"])
def test_another_client_with_what_mcp_config_prints(
    word: str, mail: DistantMail, folder: Path
) -> None:
    """Over HTTP: the client itself takes the token from the variable, and trusts the authority."""
    client = CLIENTS[word]
    with OtherModel(client.tool) as model:
        mail.use_variable()
        mail.env["SSL_CERT_FILE"] = mail.env["CLAUDE_MAILBOX_CA"]
        installation = Installation(word, folder, model, mail)
        add_entry(
            installation.home / client.settings[0],
            mail.run_there("mcp-config", word, "--name", "far"),
        )
        model.plan = [call(client.send, to="outside", body="from the tool")]
        installation.run(client.first, "Write to them.")
        (sent,) = json.loads(mail.run("check", "--name", "outside", "--json"))
        assert (sent["from"], sent["body"]) == ("far", "from the tool")


def add_entry(settings: Path, entry: str) -> None:
    """Add what ``mcp-config`` prints to a client's settings."""
    text = settings.read_text()
    if settings.suffix == ".toml":
        settings.write_text(f"{text}\n{entry}")
    else:
        settings.write_text(json.dumps(json.loads(text) | json.loads(entry)))
