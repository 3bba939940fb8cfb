"""JSON-RPC over HTTP: headers for new and old protocol versions, and the form of responses."""

import json

import pytest
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request, decode_header_value

from claude_mailbox.client.reach.http1 import Response
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
    def test_headers_of_a_new_version_are_accepted_by_the_sdk(self, name: str) -> None:
        """Whatever characters the name of the tool has."""
        message = request("tools/call", name=name, arguments={}, _meta=META)
        headers = {key.lower(): value for key, value in jsonrpc.mcp_headers(message, None)}
        assert isinstance(classify_inbound_request(message, headers=headers), InboundModernRoute)
        assert name == decode_header_value(headers["mcp-name"])

    def test_without_a_name_there_is_no_mcp_name(self) -> None:
        """The version of the request counts, not a negotiated one."""
        headers = dict(jsonrpc.mcp_headers(request("tools/list", _meta=META), "2025-11-25"))
        assert headers["MCP-Protocol-Version"] == "2026-07-28"
        assert headers["Mcp-Method"] == "tools/list"
        assert "Mcp-Name" not in headers

    def test_headers_of_an_old_version_repeat_the_negotiated_version(self) -> None:
        """There is no such header before `initialize`, nor for it."""
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
    def test_malformed_parameters_have_no_version(self, params: object) -> None:
        """The daemon reports what is wrong with them."""
        assert jsonrpc.own_version({"method": "x", "params": params}) is None


class TestResponse:
    def test_a_json_rpc_response_is_not_changed(self) -> None:
        """It stays byte for byte."""
        body = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        assert body == jsonrpc.response_line(Response(200, {}), body, 1)

    def test_an_error_without_an_id_gets_that_of_the_request(self) -> None:
        """Otherwise the client would not know which request has failed."""
        body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}'
        response = json.loads(jsonrpc.response_line(Response(400, {}), body, "a"))
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
    def test_everything_else_becomes_an_error(self, body: bytes, sentence: str) -> None:
        """With the sentence of the daemon, if there is one."""
        response = json.loads(jsonrpc.response_line(Response(403, {}), body, 7))
        assert response["id"] == 7
        assert sentence in response["error"]["message"]


def test_initialize_negotiates_a_version() -> None:
    """It is in the result; an error has none."""
    body = b'{"id":1,"result":{"protocolVersion":"2025-06-18"}}'
    assert jsonrpc.negotiated_version(body) == "2025-06-18"
    assert jsonrpc.negotiated_version(b'{"id":1,"error":{}}') is None
