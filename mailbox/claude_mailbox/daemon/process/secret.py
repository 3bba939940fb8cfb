"""The secret in the home folder, by which a client on TCP knows that this daemon is its own."""

import hmac
import os

from claude_mailbox.errors import StartupError


class Secret:
    """Reads the secret, and makes it if there is none.

    Args:
        path: its file, in the home folder.

    Raises:
        StartupError: if it cannot be read or written.
    """

    def __init__(self, path: str) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                self._value = file.read()
                if not self._value:
                    self._value = os.urandom(32)
                    file.write(self._value)
        except OSError as error:
            raise StartupError(
                f"Cannot read or write {path} ({error.strerror}): check its permissions."
            ) from None

    def proof(self, nonce: str, port: int) -> str:
        """Return the signature of a nonce and the port that it was sent to."""
        return self.sign(f"{nonce} {port}")

    def sign(self, text: str) -> str:
        """Return the HMAC-SHA256 of *text*, in hexadecimal digits."""
        return hmac.digest(self._value, text.encode(), "sha256").hex()
