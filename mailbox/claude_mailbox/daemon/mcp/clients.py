"""How long a result may be for each client, so that its model gets all of it.

A client cuts a result that is too long, or shows a preview, without telling the server, and the rest
would count as delivered. docs/mcp.md says what was tried, with which versions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

CLIENT_INFO = "io.modelcontextprotocol/clientInfo"

# For all other clients. Codex cuts at 12,000 bytes with a model that it does not know.
DEFAULT_CHARACTERS = 8_000
CHARACTERS = {
    # Cuts at the 500,000 that our tools declare, in UTF-16 code units.
    "claude-code": 60_000,
    # Cuts at 51,200 bytes.
    "opencode": 40_000,
}


def client_name(meta: Mapping[str, Any], user_agents: Sequence[bytes]) -> str | None:
    """Return the client's name, from the request (since 2026) or else its User-Agent; or None."""
    info = meta.get(CLIENT_INFO)
    if isinstance(info, Mapping):
        name = info.get("name")
        return name if isinstance(name, str) else None
    return user_agents[0].decode("latin-1").partition("/")[0] if user_agents else None


def characters_for(client: str | None) -> int:
    """Return how many characters of JSON a result may have.

    Characters are counted as bytes in UTF-8, because no client counts more.
    """
    return DEFAULT_CHARACTERS if client is None else CHARACTERS.get(client, DEFAULT_CHARACTERS)
