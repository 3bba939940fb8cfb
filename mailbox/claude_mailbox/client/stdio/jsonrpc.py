"""JSON-RPC over HTTP as an MCP endpoint takes it: headers of a request, form of a response. No I/O.

Since protocol version 2026-07-28 every request carries its version in ``params._meta``, and
headers repeat that, the method, and the name of what is called. In older versions ``initialize``
negotiates the version once, and one header repeats it.
"""

import binascii

from claude_mailbox.client import codec
from claude_mailbox.client.reach.http1 import Response

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR, UNREACHABLE = -32700, -32600, -32603, -32000
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
# Method -> the parameter that the header Mcp-Name repeats.
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

Fields = dict[str, object]


def mcp_headers(message: Fields, negotiated: str | None) -> list[tuple[str, str]]:
    """Return the headers for a request.

    Args:
        message: the JSON-RPC request.
        negotiated: the protocol version from ``initialize``, if there was one.
    """
    headers = [("Accept", "application/json, text/event-stream")]
    method = str(message.get("method"))
    params = message.get("params")
    version = own_version(message)
    if version is not None:
        headers += [
            ("MCP-Protocol-Version", header_value(version)),
            ("Mcp-Method", header_value(method)),
        ]
        name = params.get(_NAMED.get(method, "")) if isinstance(params, dict) else None
        if isinstance(name, str):
            headers.append(("Mcp-Name", header_value(name)))
    elif negotiated is not None and method != "initialize":
        headers.append(("MCP-Protocol-Version", header_value(negotiated)))
    return headers


def own_version(message: Fields) -> str | None:
    """Return the protocol version that the request itself carries, or None."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def error_response(identifier: object, code: int, sentence: str) -> bytes:
    """Return an error response to the request with that id."""
    error = {"code": code, "message": sentence}
    return codec.encode({"jsonrpc": "2.0", "id": identifier, "error": error}).encode()


def response_line(response: Response, body: bytes, identifier: object) -> bytes:
    """Return the JSON-RPC response to the request with that id from an HTTP response.

    An HTTP response without a JSON-RPC response becomes an error.

    Args:
        response: status and headers.
        body: the body, or one event of it.
        identifier: id of the request.
    """
    try:
        value = codec.decode(body)
    except ValueError:
        value = None
    sentence = f"The daemon answered with HTTP status {response.status} and no JSON-RPC message."
    if isinstance(value, dict):
        if "result" in value or isinstance(value.get("error"), dict):
            if value.get("id") is not None:
                return body
            # The daemon refused the request before it read its id.
            return codec.encode(value | {"id": identifier}).encode()
        if isinstance(value.get("error"), str):
            sentence = value["error"]
    return error_response(identifier, INTERNAL_ERROR, sentence)


def negotiated_version(body: bytes) -> str | None:
    """Return the protocol version in a response to ``initialize``, or None for an error."""
    value = codec.decode(body)
    result = value.get("result") if isinstance(value, dict) else None
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    return version if isinstance(version, str) else None


def header_value(value: str) -> str:
    """Return *value* in the form that MCP headers allow: plain, or ``=?base64?...?=``.

    Raises:
        UnicodeEncodeError: if it has a lone surrogate.
    """
    is_plain = value.isascii() and value.isprintable() and value == value.strip()
    if is_plain and not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    return f"=?base64?{binascii.b2a_base64(value.encode(), newline=False).decode()}?="
