"""Which requests take the short cut around the MCP SDK, and that they need no SDK."""

import json
from typing import Any

import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from claude_mailbox.daemon.edge.callers import Callers
from claude_mailbox.daemon.edge.handover import Handover
from claude_mailbox.daemon.http.asgi import Message
from claude_mailbox.daemon.mcp.endpoint import McpGate
from claude_mailbox.daemon.mcp.lane import HANDSHAKE_VERSIONS, MODERN_VERSION, read_call
from daemon.edge.test_handover import Client
from daemon.kit import World

_P = "io.modelcontextprotocol/"
META = {
    f"{_P}protocolVersion": MODERN_VERSION,
    f"{_P}clientInfo": {"name": "test", "version": "1"},
    f"{_P}clientCapabilities": {},
}
HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": MODERN_VERSION,
    "mcp-method": "tools/call",
    "mcp-name": "send",
}
OLD_HEADERS = {"accept": "application/json", "mcp-protocol-version": "2025-06-18"}
PARAMS: dict[str, Any] = {"name": "send", "arguments": {"to": "b", "body": "x"}}
BODY: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": PARAMS}


def scope_of(headers: dict[str, str] | list[tuple[str, str]]) -> dict[str, Any]:
    """Return a scope of a POST with these headers."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {"method": "POST", "headers": [(k.encode(), v.encode()) for k, v in pairs]}


def modern(meta: object = META, **params: object) -> dict[str, Any]:
    """Return a modern body."""
    return {**BODY, "params": {**PARAMS, **params, "_meta": meta}}


class TestTaken:
    @pytest.mark.parametrize(
        "meta",
        [
            META,
            {**META, "progressToken": 1, "vendor/thing": {"a": [1]}},
            {**META, f"{_P}clientCapabilities": {"elicitation": {}, "sampling": {}}},
            {key: value for key, value in META.items() if not key.endswith("clientInfo")},
        ],
    )
    def test_modern(self, meta: object) -> None:
        """With all that a client may tell of itself."""
        call = read_call(scope_of(HEADERS), json.dumps(modern(meta)).encode())
        assert call is not None
        assert (call.name, call.arguments, call.is_modern) == ("send", PARAMS["arguments"], True)

    @pytest.mark.parametrize("version", [*HANDSHAKE_PROTOCOL_VERSIONS, None])
    @pytest.mark.parametrize("number", [1, "1", -5, ""])
    def test_after_a_handshake(self, version: str | None, number: object) -> None:
        """In each version, and with whatever number."""
        headers = {"accept": "text/event-stream , application/json;q=0.9"}
        if version is not None:
            headers["mcp-protocol-version"] = version
        call = read_call(scope_of(headers), json.dumps({**BODY, "id": number}).encode())
        assert call is not None
        assert call.request_id == number
        assert not call.is_modern

    def test_no_arguments(self) -> None:
        """They may be left out."""
        body = {**BODY, "params": {"name": "list_mailboxes", "_meta": {"progressToken": "t"}}}
        call = read_call(scope_of(OLD_HEADERS), json.dumps(body).encode())
        assert call is not None
        assert call.arguments == {}

    def test_no_version_that_the_sdk_does_not_speak(self) -> None:
        """The short cut promises nothing that the rest does not keep."""
        assert {v.decode() for v in HANDSHAKE_VERSIONS} <= set(HANDSHAKE_PROTOCOL_VERSIONS)
        assert MODERN_VERSION in MODERN_PROTOCOL_VERSIONS


class TestLeftToTheSdk:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff",
            b"\xef\xbb\xbf" + json.dumps(BODY).encode(),
            json.dumps(BODY).encode("utf-16"),
            b'{"a":' * 100_000,
            *(
                json.dumps(body).encode()
                for body in (
                    [BODY],
                    {**BODY, "jsonrpc": "1.0"},
                    {**BODY, "id": None},
                    {**BODY, "id": 1.5},
                    {**BODY, "id": True},
                    {**BODY, "id": "\ud800"},
                    {**BODY, "more": 1},
                    {key: value for key, value in BODY.items() if key != "id"},
                    {**BODY, "method": "tools/list"},
                    {**BODY, "method": "notifications/cancelled"},
                    {**BODY, "params": None},
                    {**BODY, "params": [1]},
                    {**BODY, "params": "name"},
                    {**BODY, "params": {**PARAMS, "task": {}}},
                    {**BODY, "params": {**PARAMS, "name": "no_such_tool"}},
                    {**BODY, "params": {**PARAMS, "name": ["send"]}},
                    {**BODY, "params": {**PARAMS, "arguments": None}},
                    {**BODY, "params": {**PARAMS, "arguments": {"cc": "c"}}},
                    {**BODY, "params": {**PARAMS, "_meta": 1}},
                    {**BODY, "params": {**PARAMS, "_meta": {"progressToken": None}}},
                    {**BODY, "params": {**PARAMS, "_meta": {f"{_P}clientInfo": {}}}},
                    modern(),
                )
            ),
        ],
    )
    def test_a_body_that_is_not_quite_so(self, body: bytes) -> None:
        """Whatever is to be said of it, the SDK says it."""
        assert read_call(scope_of(OLD_HEADERS), body) is None

    @pytest.mark.parametrize(
        "meta",
        [
            {**META, f"{_P}protocolVersion": "2027-01-01"},
            {**META, f"{_P}protocolVersion": None},
            {**META, f"{_P}clientCapabilities": None},
            {**META, f"{_P}clientCapabilities": {"roots": 1}},
            {key: value for key, value in META.items() if not key.endswith("Capabilities")},
            {**META, f"{_P}clientInfo": {"name": "test"}},
            {**META, f"{_P}clientInfo": {"name": "test", "version": 1}},
            {**META, f"{_P}new": 1},
            {**META, "progressToken": 1.5},
            {},
        ],
    )
    def test_what_a_modern_client_tells_of_itself(self, meta: object) -> None:
        """Only the usual is taken."""
        assert read_call(scope_of(HEADERS), json.dumps(modern(meta)).encode()) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"accept": "text/event-stream"},
            {"accept": "application/jsonl"},
            {"accept": "*/*"},
            {"mcp-protocol-version": "2025-06-18"},
            {"mcp-protocol-version": "x"},
            {"mcp-method": "tools/list"},
            {"mcp-name": "watch"},
            {"mcp-name": "=?base64?c2VuZA==?="},
        ],
    )
    def test_headers_that_do_not_agree(self, change: dict[str, str]) -> None:
        """With the body, or with what is offered."""
        scope = scope_of({**HEADERS, **change})
        assert read_call(scope, json.dumps(modern()).encode()) is None

    @pytest.mark.parametrize("name", ["mcp-protocol-version", "mcp-method", "mcp-name"])
    def test_headers_that_come_twice_or_not_at_all(self, name: str) -> None:
        """Neither is for us to judge."""
        body = json.dumps(modern()).encode()
        pairs = list(HEADERS.items())
        assert read_call(scope_of(pairs), body) is not None
        assert read_call(scope_of([*pairs, (name, HEADERS[name])]), body) is None
        assert read_call(scope_of([pair for pair in pairs if pair[0] != name]), body) is None


async def test_the_short_cut_does_not_wait_for_the_sdk(world: World) -> None:
    """Nobody imports it here, and a call is answered all the same."""

    async def no_session(_: str) -> str | None:
        return None

    gate = McpGate(world.broker, Callers(world.presence, no_session, no_session))
    body = json.dumps(
        {**BODY, "params": {**PARAMS, "arguments": {"to": "b", "body": "hi", "from": "a"}}}
    )
    client = Client()
    messages: list[Message] = [{"type": "http.request", "body": body.encode(), "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await client.receive()

    await Handover(gate, world.broker)(
        {**scope_of(OLD_HEADERS), "path": "/mcp"}, receive, client.send
    )
    assert not gate.is_ready
    assert client.status == 200
    assert json.loads(client.body)["result"]["structuredContent"]["to"] == "b"
    assert world.states() == {"hi": "waiting"}
