"""JSON-RPC over HTTP: the headers of both eras, and a response for every answer."""

import json

import pytest
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request, decode_header_value

from claude_mailbox.client.reach.http1 import Answer
from claude_mailbox.client.stdio import jsonrpc

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def request(method: str, **params: object) -> dict[str, object]:
    """Return a JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


class TestHeaders:
    @pytest.mark.parametrize("name", ["send", "naïve", " padded ", "=?base64?eA==?=", "a\r\nb: c"])
    def test_pass_the_servers_own_test(self, name: str) -> None:
        """A request of the new era is accepted by the SDK's checks, whatever the tool's name."""
        message = request("tools/call", name=name, arguments={}, _meta=META)
        headers = {key.lower(): value for key, value in jsonrpc.mcp_headers(message, None)}
        assert isinstance(classify_inbound_request(message, headers=headers), InboundModernRoute)
        assert name == decode_header_value(headers["mcp-name"])

    def test_name_only_what_has_a_name(self) -> None:
        """Without a name to repeat there is no Mcp-Name."""
        headers = dict(jsonrpc.mcp_headers(request("tools/list", _meta=META), "2025-11-25"))
        assert headers["MCP-Protocol-Version"] == "2026-07-28"
        assert headers["Mcp-Method"] == "tools/list"
        assert "Mcp-Name" not in headers

    def test_repeat_what_was_agreed_on_in_the_old_era(self) -> None:
        """After the handshake, one header; before it, none."""
        message = request("tools/call", name="send")
        assert (
            dict(jsonrpc.mcp_headers(message, "2025-11-25"))["MCP-Protocol-Version"] == "2025-11-25"
        )
        assert "Mcp-Method" not in dict(jsonrpc.mcp_headers(message, "2025-11-25"))
        assert "MCP-Protocol-Version" not in dict(jsonrpc.mcp_headers(message, None))
        handshake = request("initialize", protocolVersion="2025-11-25")
        assert "MCP-Protocol-Version" not in dict(jsonrpc.mcp_headers(handshake, "2025-06-18"))

    @pytest.mark.parametrize(
        "params", [None, [], {"_meta": 5}, {"_meta": {jsonrpc.VERSION_KEY: 5}}]
    )
    def test_odd_parameters_are_the_servers_business(self, params: object) -> None:
        """What is malformed is passed on without a version of its own."""
        assert jsonrpc.own_version({"method": "x", "params": params}) is None


class TestResponse:
    def test_passes_a_response_on(self) -> None:
        """Byte for byte."""
        body = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        assert body == jsonrpc.response(Answer(200, {}), body, 1)

    def test_gives_an_error_without_id_the_requests(self) -> None:
        """Or the client could not tell which request failed."""
        body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}'
        response = json.loads(jsonrpc.response(Answer(400, {}), body, "a"))
        assert response == {"jsonrpc": "2.0", "id": "a", "error": {"code": -32700, "message": "x"}}

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b'{"error":"Host is not allowed.","reason":"forbidden"}', "Host is not allowed."),
            (b"<html>", "HTTP status 403"),
            (b"", "HTTP status 403"),
            (b"[1]", "HTTP status 403"),
            (b'{"a":1}', "HTTP status 403"),
        ],
    )
    def test_makes_an_error_of_everything_else(self, body: bytes, sentence: str) -> None:
        """Every request gets a response, with the daemon's own sentence where there is one."""
        response = json.loads(jsonrpc.response(Answer(403, {}), body, 7))
        assert response["id"] == 7
        assert sentence in response["error"]["message"]


def test_the_negotiated_version() -> None:
    """It is read from the result of initialize; an error has none."""
    body = b'{"id":1,"result":{"protocolVersion":"2025-06-18"}}'
    assert jsonrpc.negotiated_version(body) == "2025-06-18"
    assert jsonrpc.negotiated_version(b'{"id":1,"error":{}}') is None
