"""``mcp-stdio``, with real clients and with requests line by line."""

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
from claude_mailbox.client.stdio import forwarding, proxy
from claude_mailbox.client.stdio.proxy import Proxy
from client.server import Peer, Server, respond_with
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
        """Send messages or raw text, each on a line."""
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
        """Call a tool without waiting for the response."""
        params = {"name": tool, "arguments": arguments, "_meta": META}
        self.write({"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": params})

    def cancel(self, identifier: object) -> None:
        """Cancel a call."""
        params = {"requestId": identifier}
        self.write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    def end(self) -> int:
        """Close the input, wait for the end and return the exit code."""
        self._input.close()
        return self.child.wait(PATIENCE_SECONDS)


def content(message: dict[str, Any]) -> dict[str, Any]:
    """Return the structured content of a tool's result."""
    result: dict[str, Any] = message["result"]["structuredContent"]
    return result


class TestRealClients:
    async def test_a_client_that_initializes_is_served(self, shared: CommandLine) -> None:
        """The Python SDK with an old protocol version; --name is the mailbox of its calls."""
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

    async def test_a_client_without_handshake_is_served(self, shared: CommandLine) -> None:
        """The Python SDK with a new protocol version, which begins with `server/discover`."""
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
    def test_a_long_call_delays_no_other(self, shared: CommandLine) -> None:
        """Each request has a thread and a connection of its own."""
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

    def test_mail_is_acked_when_the_response_was_written(self, shared: CommandLine) -> None:
        """Nothing is pending, so the mailbox can be deleted."""
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

    def test_a_cancelled_watch_takes_no_mail(self, shared: CommandLine) -> None:
        """The daemon sees the connection end, and there is no response."""
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

    def test_a_cancelled_call_gets_no_response(self, shared: CommandLine) -> None:
        """The proxy closes the connection, and writes nothing."""

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

    def test_a_client_that_dies_loses_no_mail(self, shared: CommandLine) -> None:
        """If the response cannot be written, its mail is released."""
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
    def test_a_signal_ends_waiting_calls(self, shared: CommandLine, number: signal.Signals) -> None:
        """They take no mail that comes later."""
        client = RawClient(shared)
        client.call(1, "watch", name=f"io6-{number}", timeout=50)
        shared.wait_until_watched(f"io6-{number}")
        client.child.send_signal(number)
        assert client.child.wait(PATIENCE_SECONDS) == 128 + number
        shared.send(f"io6-{number}", "later")
        assert shared.await_bodies(f"io6-{number}") == ["later"]

    def test_pending_requests_are_answered_after_the_input_has_ended(
        self, shared: CommandLine
    ) -> None:
        """As in `printf ... | claude-mailbox mcp-stdio`."""
        lines = [
            {"jsonrpc": "2.0", "id": n, "method": "tools/list", "params": {"_meta": META}}
            for n in range(3)
        ]
        done = shared.run("mcp-stdio", text="\n".join(map(json.dumps, lines)))
        responses = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0
        assert {response["id"] for response in responses} == {0, 1, 2}
        assert all("result" in response for response in responses)


class TestRestarts:
    def test_calls_survive_a_restart_of_the_daemon(self, own: CommandLine) -> None:
        """It is killed during a watch, and stopped between two calls."""
        # With an explicit address the proxy does not start the daemon.
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

    def test_it_starts_the_daemon(self, own: CommandLine) -> None:
        """After a reboot a client can come first."""
        own.process.stop()
        client = RawClient(own)
        client.call(1, "send", **{"from": "a", "to": "b", "body": "x"})
        client.call(2, "peek_inbox", name="b")
        assert {client.read()["id"], client.read()["id"]} == {1, 2}
        client.end()
        kill_all_in(own.process.home)

    def test_a_send_whose_connection_breaks_is_not_repeated(self, shared: CommandLine) -> None:
        """The client gets an error that says so; other calls are repeated."""
        result = b'{"jsonrpc":"2.0","id":2,"result":{}}'
        response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(result), result)
        with Server(respond_with(), respond_with(), respond_with(response)) as server:
            client = RawClient(shared, "--url", str(server.address))
            client.call(1, "send", **{"from": "a", "to": "b", "body": "x"})
            message = client.read()
            assert message["id"] == 1
            assert "It is not known whether that was done" in message["error"]["message"]
            client.call(2, "peek_inbox", name="b")
            assert client.read()["id"] == 2
        assert client.end() == 0

    def test_a_daemon_that_is_not_ready_gets_the_request_again(self, shared: CommandLine) -> None:
        """503 means that nothing was done, so even a send is repeated."""
        busy = b"HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\n{}"
        result = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(result), result)
        with Server(respond_with(busy), respond_with(busy), respond_with(response)) as server:
            client = RawClient(shared, "--url", str(server.address))
            client.call(1, "send", **{"from": "a", "to": "b", "body": "x"})
            assert client.read()["result"] == {}
        assert client.end() == 0

    def test_a_daemon_that_stays_down_is_an_error(
        self,
        shared: CommandLine,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """The request fails when the time for retries is up."""
        monkeypatch.setattr(forwarding, "RETRY_SECONDS", 0.0)
        server = Proxy("http://127.0.0.1:9")
        server._process(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        until(lambda: not server._pending, "the response")
        assert "No daemon answers" in json.loads(capfd.readouterr().out)["error"]["message"]


class TestStreams:
    def test_each_event_becomes_one_line(self, shared: CommandLine) -> None:
        """Notifications come first; the response ends the call. A stream that breaks is repeated."""
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


class TestInvalidLines:
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
    def test_invalid_lines_are_errors(
        self, capfd: pytest.CaptureFixture[str], line: str, code: int
    ) -> None:
        """The error has no id, as the line has none that is valid."""
        Proxy("http://127.0.0.1:9")._process(line.encode(errors="surrogateescape"))
        response = json.loads(capfd.readouterr().out)
        assert (response["id"], response["error"]["code"]) == (None, code)

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
    def test_lines_that_need_no_response_get_none(
        self, capfd: pytest.CaptureFixture[str], line: str
    ) -> None:
        """Blank lines, responses and notifications."""
        Proxy("http://127.0.0.1:9")._process(line.encode())
        assert capfd.readouterr().out == ""

    def test_a_second_request_with_the_same_id_replaces_the_first(
        self, shared: CommandLine
    ) -> None:
        """The first one is cancelled, and only the second is answered."""
        client = RawClient(shared)
        client.call(1, "watch", name="io-n1", timeout=50)
        shared.wait_until_watched("io-n1")
        client.call(1, "peek_inbox", name="io-n1")
        assert content(client.read())["pending"] == 0
        assert client.end() == 0
        assert client.child.stdout is not None
        assert client.child.stdout.read() == ""

    def test_too_many_requests_at_once_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The error says to wait."""
        monkeypatch.setattr(proxy, "PENDING_LIMIT", 0)
        Proxy("http://127.0.0.1:9")._process(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        response = json.loads(capfd.readouterr().out)
        assert "Too many requests at once" in response["error"]["message"]

    def test_a_malformed_url_or_name_ends_it_at_once(self, shared: CommandLine) -> None:
        """With exit code 1, before a request is read."""
        for arguments in (["--url", "nonsense"], ["--name", "a\nb"]):
            done = shared.run("mcp-stdio", *arguments)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("Error: ")


def test_imports_neither_the_sdk_nor_an_event_loop() -> None:
    """So that it starts quickly."""
    script = (
        "import sys, claude_mailbox.client.stdio.proxy\n"
        "sys.exit(bool({'trio', 'mcp', 'quart', 'httpx', 'click', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
