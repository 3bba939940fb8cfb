"""The TypeScript SDK's clients: 1.x, which Claude Code uses, and 2.x in both eras."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.toolchain import FOLDER, Node, NotToBeHad
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.mail import Mail

CLIENTS = [("1", "legacy"), ("2", "legacy"), ("2", "auto"), ("2", "2026-07-28")]
every_client = pytest.mark.parametrize(("sdk", "mode"), CLIENTS)


class Client:
    """A client in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}

    def begin(self, verb: str, **fields: object) -> int:
        """Give a command and return its number."""
        number = next(self._numbers)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": number, "verb": verb, **fields}) + "\n")
        self.process.stdin.flush()
        return number

    def answer(self, number: int) -> dict[str, Any]:
        """Return what became of a command."""
        assert self.process.stdout is not None
        while number not in self._answers:
            line = self.process.stdout.readline()
            assert line, "the client ended"
            content = json.loads(line)
            self._answers[content.pop("id")] = content
        return self._answers.pop(number)

    def do(self, verb: str, **fields: object) -> dict[str, Any]:
        """Give a command that is to succeed and return its answer."""
        answer = self.answer(self.begin(verb, **fields))
        assert "error" not in answer, answer
        return answer

    def call(self, name: str, /, **arguments: object) -> Any:
        """Call a tool and return its structured content."""
        result = self.do("call", name=name, arguments=arguments)["result"]
        assert not result.get("isError"), result
        return result["structuredContent"]


@pytest.fixture(scope="session")
def node() -> Node:
    """Node.js; the test is skipped, with the reason, where there is none."""
    try:
        return Node()
    except NotToBeHad as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def packages(node: Node) -> Path:
    """A folder with the SDKs; the test is skipped, with the reason, where they are not to be had."""
    try:
        return node.packages()
    except NotToBeHad as reason:
        pytest.skip(str(reason))


@contextmanager
def connected(
    node: Node, packages: Path, daemon: DaemonProcess, sdk: str, mode: str, **headers: str
) -> Iterator[Client]:
    """Start a client and connect it."""
    script = str(FOLDER / "client.cjs")
    command = [*node.command, script, str(packages), sdk, mode, f"{daemon.url}/mcp"]
    with subprocess.Popen(
        [*command, json.dumps(headers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            client = Client(process)
            welcome = client.do("connect")
            assert "mail" in welcome["instructions"].lower()
            assert welcome["sessionId"] is None
            yield client
        finally:
            process.kill()


@every_client
def test_all_tools(
    node: Node, packages: Path, daemon: DaemonProcess, fresh: Fresh, sdk: str, mode: str
) -> None:
    """One conversation through all six, with the identity in a header."""
    me, peer, new = fresh("me"), fresh("peer"), fresh("new")
    with connected(node, packages, daemon, sdk, mode, **{"X-Mailbox": me}) as client:
        assert len(client.do("list")["tools"]) == 11
        sent = client.call("send", **{"from": peer, "to": me, "body": "žluť"})
        assert client.call("peek_inbox") == {"pending": 1, "oldestAt": sent["sentAt"]}
        assert client.call("list_mailboxes")["you"] == me
        assert client.call("rename", new_name=new)["messagesTransferred"] == 1
        messages = client.call("check_inbox")["messages"]
        assert [(message["from"], message["body"]) for message in messages] == [(peer, "žluť")]
        assert client.call("watch", timeout=0, name=new) == {"message": None}
        refused = client.do("call", name="send", arguments={"to": me})["result"]
        assert refused["isError"] is True
        assert "'body'" in refused["content"][0]["text"]
        client.do("close")


@pytest.mark.parametrize(("sdk", "mode"), [("1", "legacy"), ("2", "auto")])
def test_a_restart_between_two_calls(
    node: Node, packages: Path, fresh: Fresh, sdk: str, mode: str
) -> None:
    """The connected client notices nothing."""
    me = fresh("me")
    with DaemonProcess() as daemon:
        wait_until_ready(daemon)
        with connected(node, packages, daemon, sdk, mode) as client:
            client.call("send", **{"from": me, "to": me, "body": "before"})
            daemon.restart(same_port=True)

            messages = client.call("check_inbox", name=me)["messages"]

    assert [message["body"] for message in messages] == ["before"]


@every_client
def test_an_aborted_watch_takes_no_mail(
    node: Node,
    packages: Path,
    daemon: DaemonProcess,
    mail: Mail,
    fresh: Fresh,
    sdk: str,
    mode: str,
) -> None:
    """The user presses Esc, and the client stays connected; what comes then is kept for later."""
    me = fresh("me")
    with connected(node, packages, daemon, sdk, mode) as client:
        call = client.begin("call", name="watch", arguments={"name": me, "timeout": 50})
        mail.wait_for_waiters(1)

        client.do("abort", call=call)

        assert "error" in client.answer(call)
        mail.wait_for_waiters(0)
        mail.send("sender", me)
        messages = client.call("check_inbox", name=me)["messages"]

    assert [message["attempts"] for message in messages] == [1]


@every_client
def test_a_watch_that_the_client_times_out(
    node: Node,
    packages: Path,
    daemon: DaemonProcess,
    mail: Mail,
    fresh: Fresh,
    sdk: str,
    mode: str,
) -> None:
    """The SDK's own time-out is shorter than the call."""
    me = fresh("me")
    arguments = {"name": me, "timeout": 50}
    with connected(node, packages, daemon, sdk, mode) as client:
        call = client.begin("call", name="watch", arguments=arguments, timeout=200)

        assert "timed out" in client.answer(call)["error"].lower()
        mail.wait_for_waiters(0)
        mail.send("sender", me)
        messages = client.call("check_inbox", name=me)["messages"]

    assert [message["attempts"] for message in messages] == [1]


@pytest.mark.parametrize(("sdk", "mode"), [("1", "legacy"), ("2", "auto")])
def test_a_client_that_dies_in_a_watch(
    node: Node,
    packages: Path,
    daemon: DaemonProcess,
    mail: Mail,
    fresh: Fresh,
    sdk: str,
    mode: str,
) -> None:
    """``kill -9``: the mail stays."""
    me = fresh("me")
    with connected(node, packages, daemon, sdk, mode) as client:
        client.begin("call", name="watch", arguments={"name": me, "timeout": 50})
        mail.wait_for_waiters(1)
        client.process.kill()

        mail.wait_for_waiters(0)
        mail.send("sender", me)

        assert [message["attempts"] for message in mail.check(me)] == [1]


def test_conformance(node: Node, packages: Path, daemon: DaemonProcess, tmp_path: Path) -> None:
    """All server scenarios that apply pass; see the baseline for those that do not, and why."""
    suite = packages / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    baseline = FOLDER / "conformance-baseline.yml"
    command = [*node.command, str(suite), "server", "--url", f"{daemon.url}/mcp", "--suite", "all"]

    outcome = subprocess.run(
        [*command, "--expected-failures", str(baseline), "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    summary = outcome.stdout.partition("=== SUMMARY ===")[2]
    assert outcome.returncode == 0, summary
    for scenario in ("server-initialize", "ping", "tools-list", "dns-rebinding-protection"):
        assert f"✓ {scenario}: " in summary
