"""``install`` of each client that can be run offline, and what it gives to a session."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from claude_mailbox.client.hooks.others.hints import HINT
from e2e.conftest import Measure, Sessions
from e2e.harness.claude import Claude
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, say
from e2e.harness.other_clients import CLIENTS, CODEX_UNASKED, Installation, find_program
from e2e.harness.other_model import OtherModel
from e2e.harness.plugin import Plugin
from e2e.harness.terminal import Terminals
from e2e.harness.waiting import eventually

pytestmark = pytest.mark.timeout(120)

# The shell of a client may be a login shell, which has a PATH of its own.
COMMAND = Path(sys.executable).with_name("claude-mailbox")


@pytest.fixture
def terminals(folder: Path) -> Iterator[Terminals]:
    """Terminals for clients other than Claude Code."""
    with Terminals(folder) as terminals:
        yield terminals


def own_name(shown: str) -> str:
    """Return the mailbox that a session was introduced to."""
    found = re.search(r"This session has the mailbox \W*([\w-]+)", shown)
    assert found is not None, shown[-2000:]
    return found[1]


def introduced(mail: Mail) -> str:
    """Return the only mailbox of a session, once it is idle."""

    def idle() -> list[str]:
        rows = json.loads(mail.run("list", "--json"))
        return [row["name"] for row in rows if row["state"] == "idle"]

    return eventually(idle, lambda: f"no idle session among {mail.run('list')}")[0]


def serve_tools(mail: Mail) -> None:
    """Return when the daemon serves MCP: Codex offers its model at first what answers at once."""
    me = {"name": "e2e", "version": "1"}
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": me}
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    request = urllib.request.Request(
        f"{mail.url}/mcp",
        json.dumps(call).encode(),
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"},
    )
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


def contents(paths: list[str]) -> dict[str, bytes | None]:
    """Return what the files have; None of those that do not exist."""
    return {path: Path(path).read_bytes() if Path(path).exists() else None for path in paths}


@pytest.mark.parametrize("word", CLIENTS)
def test_a_session_has_tools_a_lasting_name_and_its_mail(
    word: str, folder: Path, mail: Mail
) -> None:
    """With each prompt and between tools, until uninstall gives its files back."""
    client = CLIENTS[word]
    mail.start()
    serve_tools(mail)
    with OtherModel(client.tool) as model:
        installation = Installation(word, folder, model, mail)
        files = json.loads(mail.run("install", word, "--dry-run", "--json"))["files"]
        before = contents([each["path"] for each in files])
        mail.run("install", word)

        command = f"{COMMAND} send --to outside --body from-the-shell"
        model.plan = [
            call(client.send, to="outside", body="from the tool"),
            client.shell(command),
        ]
        installation.run(client.first, "Write to them.")
        name = own_name(model.requests[0])
        sent = json.loads(mail.run("check", "--name", "outside", "--json"))
        assert [each["body"] for each in sent] == ["from the tool", "from-the-shell"], (
            model.requests[-1][-2000:]
        )
        assert {each["from"] for each in sent} == {name}

        mail.send(name, "before the prompt")
        model.plan = [
            client.shell(f"{COMMAND} send --from shell --to {name} between"),
            call(client.send, to=name, body="to myself"),
        ]
        installation.run(client.again, "Go on.")
        shown = [request.count("  before the prompt") for request in model.requests]
        assert shown[-3:] == [1, 1, 1], shown
        assert [text in model.requests[-1] for text in ("  between", "  to myself")] == [True, True]
        assert own_name(model.requests[-1]) == name
        assert mail.pending(name) == 0
        entries = json.loads(mail.run("log", "--name", name, "--json"))
        arrived = {each["body"]: each["state"] for each in entries if each["to"] == name}
        assert arrived == dict.fromkeys(("before the prompt", "between", "to myself"), "delivered")
        assert {each["from"] for each in entries if each["body"] == "to myself"} == {name}

        mail.run("uninstall", word)
        assert contents(list(before)) == before


@pytest.mark.parametrize("word", CLIENTS)
def test_mail_is_delivered_when_the_model_has_answered(word: str, folder: Path, mail: Mail) -> None:
    """Not when the client is killed before; and what its file has is in the next conversation."""
    client = CLIENTS[word]
    mail.start()
    with OtherModel(client.tool) as model:
        installation = Installation(word, folder, model, mail)
        mail.run("install", word)
        installation.run(client.first, "Hello.")
        name = own_name(model.requests[0])
        number = mail.send(name, "the only one")["id"]

        def state() -> str:
            receipt = mail.run("receipt", str(number), "--name", "outside", "--json")
            return str(json.loads(receipt)["state"])

        with installation.start(client.again, "Go on.") as running:

            def kill() -> Text:
                assert state() == "leased"
                os.killpg(running.pid, signal.SIGKILL)
                return say("Too late.")

            model.plan = [kill]
        assert "  the only one" in model.requests[-1]
        eventually(lambda: state() == "waiting", lambda: f"it is {state()}")

        installation.run(client.again, "Go on again.")
        assert model.requests[-1].count("  the only one") in (1, 2)
        assert state() == "delivered"


@pytest.mark.parametrize("word", ["copilot", "gemini", "qwen"])
def test_mail_that_comes_at_the_end_of_a_turn_makes_it_go_on(
    word: str, folder: Path, mail: Mail
) -> None:
    """Once; the text that does it has no mail in it, and the hook of the prompt shows the mail."""
    client = CLIENTS[word]
    mail.start()
    with OtherModel(client.tool) as model:
        installation = Installation(word, folder, model, mail)
        mail.run("install", word)
        installation.run(client.first, "Hello.")
        name = own_name(model.requests[0])
        before = len(model.requests)

        def answer_late() -> Text:
            mail.send(name, "came late")
            return say("Done.")

        model.plan = [answer_late]
        installation.run(client.again, "Go on.")
        requests = [request.replace("`", "") for request in model.requests[before:]]
        assert [HINT.replace("`", "") in request for request in requests] == [False, True], (
            requests[-1][-3000:]
        )
        assert requests[-1].count("  came late") == 1
        assert mail.pending(name) == 0


@pytest.mark.parametrize(
    ("word", "arguments", "ready"),
    [
        ("codex", (CODEX_UNASKED, "--dangerously-bypass-hook-trust"), "Ask Codex"),
        ("opencode", (), "Ask anything"),
    ],
    ids=["codex", "opencode"],
)
def test_mail_wakes_an_idle_session(
    word: str,
    arguments: tuple[str, ...],
    ready: str,
    folder: Path,
    mail: Mail,
    terminals: Terminals,
    measure: Measure,
) -> None:
    """Twice, and with a prompt that has no mail in it."""
    mail.start()
    with OtherModel(CLIENTS[word].tool) as model:
        installation = Installation(word, folder, model, mail)
        if word == "codex":
            config = installation.home / ".codex" / "config.toml"
            trusted = f'\n[projects."{installation.project}"]\ntrust_level = "trusted"\n'
            config.write_text(config.read_text() + trusted)
        mail.run("install", word)
        terminal = terminals.open(
            [installation.program, *arguments], installation.env, installation.project
        )
        terminal.wait_until(lambda screen: ready in screen, "prompt")
        terminal.type("Hello there")
        terminal.wait_until(lambda screen: "Hello there" in screen, "draft")

        def answered() -> bool:
            # Enter that comes at once may be taken for a part of what is pasted.
            terminal.press("Enter")
            return model.is_shown("Hello there", seconds=1)

        eventually(answered, lambda: f"no answer here:\n{terminal.screen()}")
        name = introduced(mail)
        for body in ("the build is green", "the build is red"):
            sent = time.monotonic()
            assert mail.send(name, body)["recipient"]["wakes"]
            assert model.is_shown(body), terminal.screen()
            measure(f"'send' called until the idle {word} has it", time.monotonic() - sent)
            assert introduced(mail) == name
        assert "the build" not in terminal.screen()
        assert model.requests[-1].count("  the build is green") == 1


def test_amp_connects(folder: Path, mail: Mail) -> None:
    """It reads our entry and lists the tools; for more it needs an account and its own server."""
    program = find_program("amp", "amp")
    mail.start()
    mail.env["HOME"] = str(folder)
    mail.run("install", "amp")
    done = subprocess.run(
        [program, "mcp", "doctor"],
        env={**mail.env, "AMP_URL": "http://127.0.0.1:9", "AMP_API_KEY": "x"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert re.search(r"mailbox \(user settings\): connected \(\d+ tools: send,", done.stdout)


class NoPlugins(BaseHTTPRequestHandler):
    """Amp's server, for a user who has no plugins there."""

    def do_POST(self) -> None:
        answer = b'{"ok": true, "result": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_amp_loads_our_plugin(folder: Path, mail: Mail) -> None:
    """And knows the events that it handles."""
    program = find_program("amp", "amp")
    mail.env["HOME"] = str(folder)
    mail.run("install", "amp")
    with HTTPServer(("127.0.0.1", 0), NoPlugins) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        done = subprocess.run(
            [program, "plugins", "list"],
            env={**mail.env, "AMP_URL": address, "AMP_API_KEY": "x"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        server.shutdown()
    assert "claude-mailbox.ts active" in done.stdout
    assert "events: agent.start, tool.result, agent.end" in done.stdout


def test_claude_code_needs_no_plugin(claude: Claude, sessions: Sessions, mail: Mail) -> None:
    """Tools, waking and proof of what was read, until uninstall takes all of it out."""
    mail.start()
    mail.env["HOME"] = str(claude.home)
    settings, state = claude.home / ".claude" / "settings.json", claude.home / ".claude.json"
    before = settings.read_bytes()
    mail.run("install", "claude-code")

    def script(request: Request) -> Text | ToolCall:
        if "the build is green" in request.news:
            return call("mailbox__send", to="outside", body="seen")
        return say("All right.")

    peer = sessions.start_peer(script, Plugin(("--allowedTools", "mcp__mailbox")))
    peer.session.ask("Hello")
    mail.send(peer.name, "the build is green")
    peer.model.wait_for("the build is green")
    peer.session.wait_idle()
    peer.assert_read_once("the build is green")
    (answer,) = json.loads(mail.run("check", "--name", "outside", "--json"))
    assert (answer["from"], answer["body"]) == (peer.name, "seen")

    mail.run("uninstall", "claude-code")
    assert settings.read_bytes() == before
    assert "mcpServers" not in json.loads(state.read_text()) or "mcp-stdio" not in state.read_text()
