"""Nonces of leases, and those of leases that nobody holds.

If the connection is lost during a commit, its leases may have been made, but their callers got an
error. The next transaction releases them before anything else, so that later messages do not overtake
them.
"""

import secrets


class Nonces:
    """Makes nonces, and remembers those of commits without an answer.

    Attributes:
        doubtful: nonces of leases that may have been made, but that nobody holds.
    """

    def __init__(self) -> None:
        self._present: list[str] = []
        self.doubtful: list[str] = []

    def new(self) -> str:
        """Return a nonce for a lease of the present transaction."""
        nonce = secrets.token_hex(6)
        self._present.append(nonce)
        return nonce

    def begin(self) -> None:
        """Begin a transaction."""
        self._present.clear()

    def committed(self) -> None:
        """Note that the transaction was committed, and the doubtful leases with it released."""
        self.doubtful.clear()

    def lost(self) -> None:
        """Note that it is unknown whether the transaction was committed."""
        self.doubtful.extend(self._present)
