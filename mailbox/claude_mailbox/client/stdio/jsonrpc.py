"""JSON-RPC over HTTP, as an MCP endpoint wants it: headers out, a response back. No I/O.

Since 2026-07-28 every request carries its protocol version in ``params._meta``, and headers have
to repeat that, the method, and the name of what is called. Before, the version is agreed on once,
by ``initialize``, and one header repeats it.
"""

import binascii

from claude_mailbox.client import codec
from claude_mailbox.client.reach.http1 import Answer

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR, UNREACHABLE = -32700, -32600, -32603, -32000
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
# Method -> the parameter that the header Mcp-Name repeats.
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

Fields = dict[str, object]


def mcp_headers(message: Fields, negotiated: str | None) -> list[tuple[str, str]]:
    """Return the headers for a request.

    Args:
        message: the JSON-RPC request.
        negotiated: what ``initialize`` has agreed on, if it has.
    """
    headers = [("Accept", "application/json, text/event-stream")]
    method = str(message.get("method"))
    params = message.get("params")
    version = own_version(message)
    if version is not None:
        headers += [("MCP-Protocol-Version", encoded(version)), ("Mcp-Method", encoded(method))]
        name = params.get(_NAMED.get(method, "")) if isinstance(params, dict) else None
        if isinstance(name, str):
            headers.append(("Mcp-Name", encoded(name)))
    elif negotiated is not None and method != "initialize":
        headers.append(("MCP-Protocol-Version", encoded(negotiated)))
    return headers


def own_version(message: Fields) -> str | None:
    """Return the protocol version that a request of the new era carries, or None."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def error_response(identifier: object, code: int, sentence: str) -> bytes:
    """Return an error as a response to the request with that id."""
    error = {"code": code, "message": sentence}
    return codec.encode({"jsonrpc": "2.0", "id": identifier, "error": error}).encode()


def response(answer: Answer, body: bytes, identifier: object) -> bytes:
    """Return the JSON-RPC response in an HTTP answer to the request with that id.

    An answer that has none becomes an error.
    """
    try:
        value = codec.decode(body)
    except ValueError:
        value = None
    sentence = f"The daemon answered with HTTP status {answer.status} and no JSON-RPC message."
    if isinstance(value, dict):
        if "result" in value or isinstance(value.get("error"), dict):
            if value.get("id") is not None:
                return body
            # A request that was refused before its id was read.
            return codec.encode(value | {"id": identifier}).encode()
        if isinstance(value.get("error"), str):
            sentence = value["error"]
    return error_response(identifier, INTERNAL_ERROR, sentence)


def negotiated_version(body: bytes) -> str | None:
    """Return the protocol version in a response to ``initialize``, or None if there is none."""
    value = codec.decode(body)
    result = value.get("result") if isinstance(value, dict) else None
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    return version if isinstance(version, str) else None


def encoded(value: str) -> str:
    """Return *value* as it may stand in a header: as it is, or as ``=?base64?...?=``.

    Raises:
        UnicodeEncodeError: if it has half of a surrogate pair.
    """
    is_plain = value.isascii() and value.isprintable() and value == value.strip()
    if is_plain and not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    return f"=?base64?{binascii.b2a_base64(value.encode(), newline=False).decode()}?="
