"""Which client calls, and how long a result it shows to its model whole.

A client that finds a result too long cuts it or shows a preview, and says nothing to the server:
what it cut would count as delivered. docs/mcp.md has what was tried, with which versions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

CLIENT_INFO = "io.modelcontextprotocol/clientInfo"

# For everybody else. Codex with a model that it does not know cuts at 12,000 bytes.
DEFAULT_CHARACTERS = 8_000
CHARACTERS = {
    # Cuts at the 500,000 that our tools declare, in UTF-16 code units.
    "claude-code": 60_000,
    # Cuts at 51,200 bytes.
    "opencode": 40_000,
}


def client_name(meta: Mapping[str, Any], user_agents: Sequence[bytes]) -> str | None:
    """Return what a client calls itself: in the request, since 2026, or else in its User-Agent."""
    info = meta.get(CLIENT_INFO)
    if isinstance(info, Mapping):
        name = info.get("name")
        return name if isinstance(name, str) else None
    return user_agents[0].decode("latin-1").partition("/")[0] if user_agents else None


def characters_for(client: str | None) -> int:
    """Return how many characters of JSON a result may have.

    A character beyond ASCII counts as its bytes in UTF-8, which no client counts higher.
    """
    return DEFAULT_CHARACTERS if client is None else CHARACTERS.get(client, DEFAULT_CHARACTERS)
