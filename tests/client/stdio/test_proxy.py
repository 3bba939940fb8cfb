"""``mcp-stdio``: the MCP server for clients that cannot speak HTTP."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
import trio
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from claude_mailbox.client.reach.api import Identity
from claude_mailbox.client.stdio import proxy as stdio
from client.server import Peer, Server, says
from support.commandline import CommandLine, kill_all_in, until
from support.daemon import PATIENCE_SECONDS

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class RawClient:
    """A client that writes its lines itself."""

    def __init__(self, commandline: CommandLine, *arguments: str) -> None:
        self.child = commandline.spawn("mcp-stdio", *arguments, stdin=subprocess.PIPE)
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self._input, self._output = self.child.stdin, self.child.stdout

    def write(self, *messages: object) -> None:
        """Send messages, or raw text, one a line."""
        for message in messages:
            self._input.write(message if isinstance(message, str) else json.dumps(message))
            self._input.write("\n")
        self._input.flush()

    def read(self) -> dict[str, Any]:
        """Return the next message."""
        line = self._output.readline()
        assert line, "the server has ended"
        message: dict[str, Any] = json.loads(line)
        return message

    def call(self, identifier: int, tool: str, **arguments: object) -> None:
        """Call a tool; do not wait."""
        params = {"name": tool, "arguments": arguments, "_meta": META}
        self.write({"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": params})

    def cancel(self, identifier: object) -> None:
        """Give a call up."""
        params = {"requestId": identifier}
        self.write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    def end(self) -> int:
        """Close the input and wait."""
        self._input.close()
        return self.child.wait(PATIENCE_SECONDS)


def content(message: dict[str, Any]) -> dict[str, Any]:
    """Return the structured content of a tool's result."""
    result: dict[str, Any] = message["result"]["structuredContent"]
    return result


class TestRealClients:
    async def test_the_handshake(self, shared: CommandLine) -> None:
        """The Python SDK, in the era of `initialize`; the name is that of the command line."""
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "claude_mailbox", "mcp-stdio", "--name", "m1"],
            env=shared.environment,
        )
        with trio.fail_after(PATIENCE_SECONDS):
            async with (
                stdio_client(parameters) as streams,
                ClientSession(*streams) as session,
            ):
                assert (await session.initialize()).protocol_version == "2025-11-25"
                tools = {tool.name for tool in (await session.list_tools()).tools}
                assert {"send", "check_inbox", "watch"} <= tools
                await session.call_tool("send", {"to": "m1", "body": "to myself"})
                result = await session.call_tool("check_inbox", {})
        assert result.structured_content is not None
        assert [m["body"] for m in result.structured_content["messages"]] == ["to myself"]

    async def test_the_stateless_era(self, shared: CommandLine) -> None:
        """The Python SDK, with `server/discover`."""
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "claude_mailbox", "mcp-stdio"],
            env=shared.environment,
        )
        with trio.fail_after(PATIENCE_SECONDS):
            async with Client(stdio_client(parameters)) as client:
                assert client.protocol_version == "2026-07-28"
                await client.call_tool("send", {"from": "a", "to": "m2", "body": "x"})
                result = await client.call_tool("check_inbox", {"name": "m2"})
        assert result.structured_content is not None
        assert [m["body"] for m in result.structured_content["messages"]] == ["x"]


class TestCalls:
    def test_a_long_one_delays_no_other(self, shared: CommandLine) -> None:
        """Each request has its own connection."""
        client = RawClient(shared)
        client.call(1, "watch", name="io1", timeout=50)
        shared.wait_until_watched("io1")
        client.call(2, "peek_inbox", name="io1")
        assert client.read()["id"] == 2
        shared.send("io1", "wake")
        message = client.read()
        assert message["id"] == 1
        assert "wake" in json.dumps(content(message))
        assert client.end() == 0

    def test_what_was_written_is_acked(self, shared: CommandLine) -> None:
        """The mail is delivered, and does not come back when the lease would be over."""
        shared.send("io2", "x")
        client = RawClient(shared)
        client.call(1, "check_inbox", name="io2")
        client.read()
        client.end()
        with shared.client() as daemon:
            deleted = daemon.call(
                "DELETE", "/v1/mailbox", identity=Identity("io2"), query=("name=io2",)
            )
        assert deleted.value == {"deleted": True}

    def test_a_cancelled_call_gives_its_place_up(self, shared: CommandLine) -> None:
        """The daemon sees the connection end; there is no answer, and no mail is eaten."""
        client = RawClient(shared)
        client.call(1, "watch", name="io3", timeout=50)
        shared.wait_until_watched("io3")
        for other in ("1", 7, None, True):
            client.cancel(other)  # no request of ours
        client.cancel(1)

        def is_unwatched() -> bool:
            with shared.client() as daemon:
                rows = daemon.call("GET", "/v1/list").value
            assert isinstance(rows, list)
            return not any(row["watching"] for row in rows if row["name"] == "io3")

        until(is_unwatched, "the end of the watch")
        shared.send("io3", "precious")
        client.call(2, "peek_inbox", name="io3")
        message = client.read()
        assert (message["id"], content(message)["pending"]) == (2, 1)
        assert client.end() == 0
        assert shared.bodies("io3") == ["precious"]

    def test_an_answer_that_crosses_the_cancellation_is_put_back(self, shared: CommandLine) -> None:
        """It was on its way with mail in it: the lease is released, nothing is written."""

        def script(peer: Peer) -> None:
            peer.read()
            client.cancel(1)
            peer.await_end()

        with Server(script) as server:
            client = RawClient(shared, "--url", str(server.address))
            client.call(1, "check_inbox", name="x")
        assert client.end() == 0
        assert client.child.stdout is not None
        assert client.child.stdout.read() == ""

    def test_a_client_that_dies_loses_nothing(self, shared: CommandLine) -> None:
        """Standard output is gone when the mail comes: it goes back at once."""
        client = RawClient(shared)
        client.call(1, "watch", name="io5", timeout=50)
        shared.wait_until_watched("io5")
        assert client.child.stdout is not None
        client.child.stdout.close()
        shared.send("io5", "precious")
        assert client.child.wait(PATIENCE_SECONDS) == 1
        until(lambda: shared.pending("io5") == 1, "the release")
        assert shared.bodies("io5") == ["precious"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signals(self, shared: CommandLine, number: signal.Signals) -> None:
        """Waiting calls give their places up, then it ends."""
        client = RawClient(shared)
        client.call(1, "watch", name=f"io6-{number}", timeout=50)
        shared.wait_until_watched(f"io6-{number}")
        client.child.send_signal(number)
        assert client.child.wait(PATIENCE_SECONDS) == 128 + number
        shared.send(f"io6-{number}", "later")
        assert shared.bodies(f"io6-{number}") == ["later"]

    def test_what_is_under_way_is_answered_after_the_input_has_ended(
        self, shared: CommandLine
    ) -> None:
        """As with `printf ... | claude-mailbox mcp-stdio`."""
        lines = [
            {"jsonrpc": "2.0", "id": n, "method": "tools/list", "params": {"_meta": META}}
            for n in range(3)
        ]
        done = shared.run("mcp-stdio", text="\n".join(map(json.dumps, lines)))
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0
        assert {answer["id"] for answer in answers} == {0, 1, 2}
        assert all("result" in answer for answer in answers)


class TestRestarts:
    def test_a_restart_is_invisible(self, own: CommandLine) -> None:
        """Killed during a watch, or stopped between two calls."""
        # With its address given it is not the proxy that starts it again.
        client = RawClient(own, "--url", f"unix:{own.process.socket_path}")
        client.call(1, "watch", name="io-r1", timeout=50)
        own.wait_until_watched("io-r1")
        own.process.restart()
        own.wait_until_watched("io-r1")
        own.send("io-r1", "after the restart")
        assert "after the restart" in json.dumps(content(client.read()))
        own.process.stop()
        own.process.start()
        client.call(2, "send", **{"from": "a", "to": "b", "body": "x"})
        assert content(client.read())["to"] == "b"
        assert client.end() == 0

    def test_it_starts_a_daemon_that_is_down(self, own: CommandLine) -> None:
        """The home folder's own one; a client can come first after a reboot."""
        own.process.stop()
        client = RawClient(own)
        client.call(1, "send", **{"from": "a", "to": "b", "body": "x"})
        client.call(2, "peek_inbox", name="b")
        assert {client.read()["id"], client.read()["id"]} == {1, 2}
        client.end()
        kill_all_in(own.process.home)

    def test_a_send_that_may_have_happened_is_not_repeated(self, shared: CommandLine) -> None:
        """The client is told; everything else is asked again."""
        result = b'{"jsonrpc":"2.0","id":2,"result":{}}'
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(result), result)
        with Server(says(), says(), says(answer)) as server:
            client = RawClient(shared, "--url", str(server.address))
            client.call(1, "send", **{"from": "a", "to": "b", "body": "x"})
            message = client.read()
            assert message["id"] == 1
            assert "It is not known whether that was done" in message["error"]["message"]
            client.call(2, "peek_inbox", name="b")
            assert client.read()["id"] == 2
        assert client.end() == 0

    def test_a_daemon_that_is_not_ready_is_asked_again(self, shared: CommandLine) -> None:
        """503 means that nothing was done, so even a send may be repeated."""
        busy = b"HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\n{}"
        result = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(result), result)
        with Server(says(busy), says(busy), says(answer)) as server:
            client = RawClient(shared, "--url", str(server.address))
            client.call(1, "send", **{"from": "a", "to": "b", "body": "x"})
            assert client.read()["result"] == {}
        assert client.end() == 0

    def test_in_the_end_it_says_so(
        self,
        shared: CommandLine,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """An address where nobody answers is an error of the request."""
        monkeypatch.setattr(stdio, "PATIENCE_SECONDS", 0.0)
        proxy = stdio.Proxy("http://127.0.0.1:9")
        proxy._take(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        until(lambda: not proxy._calls, "the answer")
        assert "No daemon answers" in json.loads(capfd.readouterr().out)["error"]["message"]


class TestStreams:
    def test_events_are_passed_on_one_a_line(self, shared: CommandLine) -> None:
        """Notifications first, then the response, which ends the call."""
        events = (
            b'event: message\r\ndata: {"jsonrpc":"2.0","method":"n",\r\ndata: "params":{}}\r\n\r\n'
            b": ping\r\n\r\n"
            b'data: {"jsonrpc":"2.0","id":1,"result":{}}\r\n\r\n'
        )
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

        def breaks(peer: Peer) -> None:
            peer.read()
            peer.send(head + b"1\r\n:\r\n")

        def script(peer: Peer) -> None:
            peer.read()
            peer.send(head + b"%x\r\n%s\r\n" % (len(events), events))
            peer.await_end()

        with Server(breaks, script) as server:
            client = RawClient(shared, "--url", str(server.address))
            client.write({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"})
            assert client.read()["method"] == "n"
            assert client.read()["result"] == {}
        assert client.end() == 0


class TestNonsense:
    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("{", -32700),
            ("\udcff", -32700),
            ("[]", -32600),
            ("5", -32600),
            ('{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
            ('{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
            ('{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
        ],
    )
    def test_is_an_error_and_no_end(
        self, capfd: pytest.CaptureFixture[str], line: str, code: int
    ) -> None:
        """The next line is served."""
        proxy = stdio.Proxy("http://127.0.0.1:9")
        proxy._take(line.encode(errors="surrogateescape"))
        answer = json.loads(capfd.readouterr().out)
        assert (answer["id"], answer["error"]["code"]) == (None, code)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "  ",
            '{"jsonrpc":"2.0","id":1,"result":{}}',
            '{"jsonrpc":"2.0","method":"notifications/initialized"}',
            '{"jsonrpc":"2.0","method":"notifications/cancelled"}',
            '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}',
        ],
    )
    def test_what_needs_no_answer_gets_none(
        self, capfd: pytest.CaptureFixture[str], line: str
    ) -> None:
        """Blank lines, answers, notifications."""
        stdio.Proxy("http://127.0.0.1:9")._take(line.encode())
        assert capfd.readouterr().out == ""

    def test_an_id_that_is_used_again_supersedes(self, shared: CommandLine) -> None:
        """The first call is given up; only the second is answered."""
        client = RawClient(shared)
        client.call(1, "watch", name="io-n1", timeout=50)
        shared.wait_until_watched("io-n1")
        client.call(1, "peek_inbox", name="io-n1")
        assert content(client.read())["pending"] == 0
        assert client.end() == 0
        assert client.child.stdout is not None
        assert client.child.stdout.read() == ""

    def test_too_many_at_once(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """There is a bound, and a sentence."""
        monkeypatch.setattr(stdio, "CALLS_LIMIT", 0)
        stdio.Proxy("http://127.0.0.1:9")._take(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        answer = json.loads(capfd.readouterr().out)
        assert "Too many requests at once" in answer["error"]["message"]

    def test_a_malformed_address_or_name_ends_it_at_once(self, shared: CommandLine) -> None:
        """Exit code 1 before anything is served."""
        for arguments in (["--url", "nonsense"], ["--name", "a\nb"]):
            done = shared.run("mcp-stdio", *arguments)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("Error: ")


def test_imports_neither_the_sdk_nor_an_event_loop() -> None:
    """It starts quickly."""
    script = (
        "import sys, claude_mailbox.client.stdio.proxy\n"
        "sys.exit(bool({'trio', 'mcp', 'quart', 'httpx', 'click', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
