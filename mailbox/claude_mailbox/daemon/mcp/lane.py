"""A short cut around the MCP SDK for tool calls that are just as they should be.

The SDK's path for one request (models, validation, a dispatcher, in the older era streams and
tasks of its own) costs more than all that the broker does for it, and the SDK is not there yet
when the daemon begins to answer. So a call that needs none of that is read and answered here, by
the same tools; every other one, also the slightest irregular, is the SDK's, which knows what to
say about it. Both say the same of what both take: a test holds them side by side.

The form of requests and results is that of the specification, "Tools" and "Transports", in the
versions named below.
"""

import json
from dataclasses import dataclass
from typing import Any

from claude_mailbox import __version__
from claude_mailbox.daemon.edge.render import compact
from claude_mailbox.daemon.http.asgi import JSON_TYPE, Scope, headers_named
from claude_mailbox.daemon.mcp.tools import ARGUMENTS, SERVER_NAME, SERVER_TITLE, Result

# Versions that begin with a handshake; without a header a client speaks one of them.
HANDSHAKE_VERSIONS = frozenset({b"2024-11-05", b"2025-03-26", b"2025-06-18", b"2025-11-25"})
# The one whose requests each carry what the handshake told.
MODERN_VERSION = "2026-07-28"

_METHOD = "tools/call"
_PREFIX = "io.modelcontextprotocol/"
_VERSION_KEY = f"{_PREFIX}protocolVersion"
_CAPABILITIES_KEY = f"{_PREFIX}clientCapabilities"
_INFO_KEY = f"{_PREFIX}clientInfo"
_MODERN_KEYS = frozenset({_VERSION_KEY, _CAPABILITIES_KEY, _INFO_KEY})
_SERVER = {"name": SERVER_NAME, "title": SERVER_TITLE, "version": __version__}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that there is, with arguments that it has."""

    request_id: str | int
    name: str
    arguments: dict[str, object]
    is_modern: bool


def read_call(scope: Scope, body: bytes) -> ToolCall | None:
    """Return the call that a POST to ``/mcp`` is, or None if it needs the SDK."""
    if not any(JSON_TYPE in _media_types(value) for value in headers_named(scope, b"accept")):
        return None
    try:
        message = json.loads(body.decode())
        params = message["params"]
        request_id, name = message["id"], params["name"]
        str(request_id).encode()  # half a surrogate could not be sent back
        arguments, meta = params.get("arguments", {}), params.get("_meta", {})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if (
        message.keys() != {"jsonrpc", "id", "method", "params"}
        or message["jsonrpc"] != "2.0"
        or message["method"] != _METHOD
        or type(request_id) not in (str, int)
        or not params.keys() <= {"name", "arguments", "_meta"}
        or not isinstance(arguments, dict)
        or not isinstance(meta, dict)
        or not isinstance(name, str)
        or name not in ARGUMENTS
        or not arguments.keys() <= ARGUMENTS[name]
    ):
        return None
    is_modern = _VERSION_KEY in meta
    if not (_is_modern(scope, name, meta) if is_modern else _is_handshaken(scope, meta)):
        return None
    return ToolCall(request_id, name, arguments, is_modern)


def _media_types(value: bytes) -> list[bytes]:
    return [each.partition(b";")[0].strip() for each in value.split(b",")]


def _is_handshaken(scope: Scope, meta: dict[str, Any]) -> bool:
    versions = headers_named(scope, b"mcp-protocol-version")
    return (
        len(versions) <= 1
        and HANDSHAKE_VERSIONS.issuperset(versions)
        and not any(key.startswith(_PREFIX) for key in meta)
        and _has_sound_token(meta)
    )


def _is_modern(scope: Scope, name: str, meta: dict[str, Any]) -> bool:
    capabilities, info = (
        meta.get(_CAPABILITIES_KEY),
        meta.get(_INFO_KEY, {"name": "", "version": ""}),
    )
    return (
        meta[_VERSION_KEY] == MODERN_VERSION
        and headers_named(scope, b"mcp-protocol-version") == [MODERN_VERSION.encode()]
        and headers_named(scope, b"mcp-method") == [_METHOD.encode()]
        and headers_named(scope, b"mcp-name") == [name.encode()]
        and isinstance(capabilities, dict)
        and all(value == {} for value in capabilities.values())
        and isinstance(info, dict)
        and info.keys() == {"name", "version"}
        and all(isinstance(value, str) for value in info.values())
        and not any(key.startswith(_PREFIX) for key in meta.keys() - _MODERN_KEYS)
        and _has_sound_token(meta)
    )


def _has_sound_token(meta: dict[str, Any]) -> bool:
    return type(meta.get("progressToken", "")) in (str, int)


def write_result(call: ToolCall, result: Result) -> bytes:
    """Return the body of the answer."""
    content: dict[str, object] = {
        "content": [{"type": "text", "text": result.text}],
        "isError": result.is_error,
    }
    if result.structured is not None:
        content["structuredContent"] = result.structured
    if call.is_modern:
        content["resultType"] = "complete"
        content["_meta"] = {f"{_PREFIX}serverInfo": _SERVER}
    return compact({"jsonrpc": "2.0", "id": call.request_id, "result": content}).encode()
