"""The token for a daemon on another machine: from ``CLAUDE_MAILBOX_TOKEN``, or from ``tokenFile``."""

import os

from claude_mailbox.client.reach.address import Address, configurations
from claude_mailbox.errors import ConfigError


def token_for(address: Address) -> str | None:
    """Return the token to send to a TCP address, or None if there is none.

    Raises:
        ConfigError: if it cannot be read, or would be sent over the network without TLS.
    """
    token = os.environ.get("CLAUDE_MAILBOX_TOKEN", "").strip() or _from_file()
    if not token:
        return None
    if not address.is_tls and address.host != "localhost" and not address.host.startswith("127."):
        raise ConfigError(
            f"The token is not sent to {address}, because it would be readable on the way: give an"
            " address with https://."
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError("The token has characters that no token has: copy it again.")
    return token


def _from_file() -> str:
    path = ""
    for config, content in configurations():
        given = content.get("tokenFile")
        if isinstance(given, str):
            path = os.path.join(os.path.dirname(config), os.path.expanduser(given))
    if not path:
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The token in {path} ('tokenFile' in mailbox.json) cannot be read: {error}."
        ) from None
