"""What an entry needs for a daemon on another machine: its address, and where the token comes from.

The token itself is written nowhere: a client's file has the name of the variable, in its own form.
"""

import os

from claude_mailbox.client.reach.address import Address, explicit_address

TOKEN = "CLAUDE_MAILBOX_TOKEN"  # noqa: S105  # the name of a variable
AUTHORITY = "CLAUDE_MAILBOX_CA"

# How a client writes the value of an environment variable in its configuration.
_FORMS = {
    "claude-code": "${%s}",
    "cursor": "${env:%s}",
    "gemini": "$%s",
    "opencode": "{env:%s}",
    "qwen": "$%s",
    "vscode": "${env:%s}",
}


def address_elsewhere() -> Address | None:
    """Return the address that ``CLAUDE_MAILBOX_URL`` names, or None if it is of this machine."""
    address = explicit_address(None)
    return address if address is not None and address.wants_token else None


def token_of(client: str) -> str | None:
    """Return what stands for the token in the configuration of a client, or None."""
    form = _FORMS.get(client)
    return None if form is None else form % TOKEN


def variables(client: str) -> dict[str, str]:
    """Return the environment that our command needs there, besides the address."""
    found = {}
    token = token_of(client)
    if os.environ.get(TOKEN) and token is not None:
        found[TOKEN] = token
    if authority := os.environ.get(AUTHORITY):
        found[AUTHORITY] = os.path.abspath(authority)
    return found
