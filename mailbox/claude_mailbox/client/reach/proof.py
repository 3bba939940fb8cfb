"""Proof for a daemon on TCP that we can read the secret in the home folder."""

import os

from claude_mailbox import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.client.reach.api import Daemon


def home_proof(daemon: "Daemon") -> dict[str, str]:
    """Return the fields that prove it; none on the Unix socket, which is proof enough."""
    # Imported here because it is rarely needed.
    import hmac

    address = daemon.connect().address
    if address.path is not None:
        return {}
    try:
        with open(paths.secret_path(), "rb") as file:
            secret = file.read()
    except OSError:
        return {}
    nonce = os.urandom(16).hex()
    text = f"inbox:{nonce} {address.port}"
    return {"nonce": nonce, "proof": hmac.digest(secret, text.encode(), "sha256").hex()}
