"""Our commands and a daemon on another machine: TLS, its certificate, and the token."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commandline import CommandLine
from support.daemon import DaemonProcess
from support.network import NetworkDaemon


@pytest.fixture(scope="module")
def network() -> Iterator[NetworkDaemon]:
    """The daemon."""
    with NetworkDaemon(patterns=["web-*"]) as process:
        yield process


@pytest.fixture
def elsewhere(network: NetworkDaemon, tmp_path: Path) -> Iterator[CommandLine]:
    """The command line of another machine: its home folder has no daemon."""
    home = {"CLAUDE_MAILBOX_HOME": str(tmp_path / "home")}
    with CommandLine(network, {**home, **network.client_environment}) as commands:
        yield commands


def test_mail_goes_both_ways(elsewhere: CommandLine) -> None:
    """Sent, followed, asked about and taken; no daemon is started here."""
    watcher = elsewhere.spawn("watch", "--follow", "--name", "web-b")
    assert watcher.stdout is not None
    bodies = [f"line {number}\n{'x' * 50_000}" for number in range(3)]
    for body in bodies:
        sent = elsewhere.run("send", "--from", "web-a", "--to", "web-b", "--body", body, "--json")
        assert sent.returncode == 0, sent.stderr
    for body in bodies:
        first, second = body.split("\n")
        line = watcher.stdout.readline()
        assert line == f"[Claude-Mailbox] Mail from web-a: {first}\n"
        assert watcher.stdout.readline() == f"  {second}\n"
    number = str(json.loads(sent.stdout)["id"])
    told = elsewhere.run("receipt", number, "--name", "web-a", "--wait-for", "delivered")
    assert "delivered by follow" in told.stdout
    watcher.terminate()
    assert watcher.wait() == 143
    sent = elsewhere.run("send", "--from", "web-a", "--to", "web-b", "--body", "last")
    assert sent.returncode == 0
    watched = elsewhere.run("watch", "--block", "--name", "web-b")
    assert watched.stdout == "[Claude-Mailbox] Mail from web-a: last\n"
    assert not Path(elsewhere.environment["CLAUDE_MAILBOX_HOME"], "mailbox.lock").exists()


def test_a_follower_outlives_a_restart(tmp_path: Path) -> None:
    """It connects again, to the same port, with the same token."""
    with NetworkDaemon() as network, CommandLine(network, network.client_environment) as commands:
        watcher = commands.spawn("watch", "--follow", "--name", "web-b")
        assert watcher.stdout is not None
        commands.run("send", "--from", "web-a", "--to", "web-b", "--body", "before")
        assert watcher.stdout.readline().endswith("before\n")
        network.restart(same_port=True)
        sent = commands.run("send", "--from", "web-a", "--to", "web-b", "--body", "after")
        assert sent.returncode == 0, sent.stderr
        assert watcher.stdout.readline().endswith("after\n")


def test_hooks_deliver_mail(elsewhere: CommandLine, tmp_path: Path) -> None:
    """A session gets a mailbox, and its mail before a prompt."""
    hook = {"session_id": "0123abcd-1", "cwd": str(tmp_path), "hook_event_name": "SessionStart"}
    variables = {"CLAUDE_MAILBOX_PREFIX": "web"}
    told = elsewhere.run("session-announce", text=json.dumps(hook), environment=variables)
    assert "web-0123abcd" in told.stdout
    elsewhere.run("send", "--from", "web-a", "--to", "web-0123abcd", "--body", "for the model")
    hook["hook_event_name"] = "UserPromptSubmit"
    shown = elsewhere.run("check", "--hook", text=json.dumps(hook))
    assert "for the model" in shown.stdout


def test_mcp_stdio_works_over_tls(elsewhere: CommandLine) -> None:
    """The tools are those of the daemon there."""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "send",
            "arguments": {"from": "web-m", "to": "web-n", "body": "by stdio"},
        },
    }
    done = elsewhere.run("mcp-stdio", text=json.dumps(call) + "\n")
    assert json.loads(done.stdout)["result"]["isError"] is False


def test_headers_for_a_client_have_the_token(elsewhere: CommandLine, tmp_path: Path) -> None:
    """From the file: the client takes variables with secrets away from the helper that asks."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "my.token").write_text(f"{elsewhere.environment['CLAUDE_MAILBOX_TOKEN']}\n")
    (home / "mailbox.json").write_text('{"tokenFile": "my.token"}')
    told = elsewhere.run("client-headers", environment={"CLAUDE_MAILBOX_TOKEN": ""})
    headers = json.loads(told.stdout)
    assert headers["Authorization"] == f"Bearer {elsewhere.environment['CLAUDE_MAILBOX_TOKEN']}"
    sent = elsewhere.run(
        *("send", "--from", "web-a", "--to", "web-f", "--body", "x"),
        environment={"CLAUDE_MAILBOX_TOKEN": ""},
    )
    assert sent.returncode == 0, sent.stderr


@pytest.mark.parametrize(
    ("environment", "code", "sentence"),
    [
        ({"CLAUDE_MAILBOX_CA": ""}, 2, "name the file of its authority in CLAUDE_MAILBOX_CA"),
        ({"CLAUDE_MAILBOX_CA": "/nothing"}, 1, "CLAUDE_MAILBOX_CA names no file"),
        ({"CLAUDE_MAILBOX_TOKEN": ""}, 1, "CLAUDE_MAILBOX_TOKEN"),
        ({"CLAUDE_MAILBOX_TOKEN": "cmb_0_0"}, 1, "not known here"),
        ({"CLAUDE_MAILBOX_TOKEN": "a b"}, 1, "characters that no token has"),
        ({"CLAUDE_MAILBOX_URL": "http://192.0.2.1:1"}, 1, "https://"),
        ({"CLAUDE_MAILBOX_URL": "https://localhost:1"}, 2, "check the address"),
    ],
)
def test_mistakes_are_one_sentence(
    elsewhere: CommandLine, environment: dict[str, str], code: int, sentence: str
) -> None:
    """Is said in a sentence with what to do."""
    done = elsewhere.run("peek", "--name", "web-a", environment=environment)
    assert done.returncode == code
    assert sentence in done.stderr
    assert done.stderr.startswith("Error: ")


def test_another_name_than_that_of_the_certificate_is_refused() -> None:
    """Is another machine."""
    with NetworkDaemon({"bind": "127.0.0.2"}) as network, CommandLine(network) as commands:
        url = {"CLAUDE_MAILBOX_URL": network.url}
        environment = {**network.client_environment, **url}
        done = commands.run("peek", "--name", "web-a", environment=environment)
    assert done.returncode == 2
    assert "cannot be trusted" in done.stderr


def test_a_server_without_tls_is_refused(elsewhere: CommandLine, daemon: DaemonProcess) -> None:
    """Is told apart from one that does not answer."""
    url = {"CLAUDE_MAILBOX_URL": f"https://localhost:{daemon.port}"}
    done = elsewhere.run("peek", "--name", "web-a", environment=url)
    assert done.returncode == 2
    assert "does not speak TLS" in done.stderr


@pytest.mark.parametrize("arguments", [["peek", "--name", "a"], ["check", "--hook", "--name", "a"]])
def test_the_unix_socket_needs_no_tls(daemon: DaemonProcess, arguments: list[str]) -> None:
    """What it takes to speak TLS and to find a token is not imported there."""
    script = (
        "import os, sys\n"
        "leave = os._exit\n"
        "os._exit = lambda code: (print(*sys.modules, file=sys.stderr, flush=True), leave(code))\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from claude_mailbox.__main__ import main\n"
        "main()\n"
    )
    environment = {**daemon.environment, "CLAUDE_MAILBOX_TOKEN": "cmb_0_0"}
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {source()!r})\n{script}",
        ],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.split())
    assert "claude_mailbox.client.reach.connection" in imported
    assert imported.isdisjoint(
        {
            *("ssl", "_ssl", "socket"),
            "claude_mailbox.client.reach.tls",
            "claude_mailbox.client.reach.token",
        }
    )


def source() -> str:
    """Return the folder that the package is in."""
    import claude_mailbox

    return str(Path(claude_mailbox.__file__).parents[1])
