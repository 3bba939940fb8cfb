"""Nonces of leases, and which of them may be held by nobody.

When the connection is lost during a commit, its leases may have been made, and whoever asked for
them was told that nobody knows. They are given up in the next transaction, before anything else:
otherwise later messages would overtake theirs.
"""

import secrets


class Nonces:
    """Makes them, and remembers those of commits without an answer.

    Attributes:
        doubtful: those of leases that may have been made, and that nobody has heard of.
    """

    def __init__(self) -> None:
        self._present: list[str] = []
        self.doubtful: list[str] = []

    def new(self) -> str:
        """Return one for a lease of the present transaction."""
        nonce = secrets.token_hex(6)
        self._present.append(nonce)
        return nonce

    def begin(self) -> None:
        """Begin a transaction."""
        self._present.clear()

    def committed(self) -> None:
        """The transaction was committed, which gave up what was doubtful."""
        self.doubtful.clear()

    def lost(self) -> None:
        """Nobody knows whether the transaction was committed."""
        self.doubtful.extend(self._present)
