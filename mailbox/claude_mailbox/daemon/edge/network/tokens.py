"""Tokens of clients on other machines: made, checked and revoked.

A token is ``cmb_<id>_<secret>``. The id finds its row. Of the secret, 256 random bits, only the SHA-256
is stored, and compared in constant time; a slow hash is for passwords, which can be guessed.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from claude_mailbox.daemon.edge.network.grant import Grant
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.tokens import Token
from claude_mailbox.refusals import TokenInvalid, TooManyTries

_PREFIX = "cmb"
_ID_BYTES = 6
_SECRET_BYTES = 32
_TEXT_LIMIT = 200
# The last use of a token is written at most this often.
_USE_MILLISECONDS = 60_000
# How many wrong tokens one address may send in this time.
TRIES = 10
TRIES_SECONDS = 60.0
# For so many addresses wrong tokens are counted.
_ADDRESSES_LIMIT = 10_000


class Tokens:
    """All tokens. Every method but ``using`` may raise what ``Ledger.run`` raises.

    Args:
        ledger: where they are kept.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._tries = _Tries()
        self._requests: dict[str, set[trio.CancelScope]] = {}

    def __repr__(self) -> str:
        return f"<Tokens: {sum(map(len, self._requests.values()))} requests run>"

    async def create(self, patterns: Sequence[str], milliseconds: int) -> tuple[Token, str]:
        """Make a token that expires after so long; return it, and its text for the owner."""
        now = self._clock()
        token_id = os.urandom(_ID_BYTES).hex()
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        token = Token(token_id, _digest(secret), patterns, now, now + milliseconds)
        await self._ledger.run(lambda transaction: transaction.tokens.add(token))
        return token, f"{_PREFIX}_{token_id}_{secret}"

    async def all(self) -> Sequence[Token]:
        """Return all tokens, expired ones included, oldest first."""
        return await self._ledger.run(
            lambda transaction: transaction.tokens.all(), durable=False, brief=True
        )

    async def revoke(self, token_id: str) -> bool:
        """Delete a token and cancel its running requests; return whether it existed."""
        was_there = await self._ledger.run(lambda transaction: transaction.tokens.delete(token_id))
        for cancel_scope in self._requests.get(token_id, ()):
            cancel_scope.cancel()
        return was_there

    async def grant(self, text: str, address: str) -> Grant:
        """Return what a token allows; *address* is the client's.

        Raises:
            TokenInvalid: if it is unknown, expired or revoked.
            TooManyTries: if too many wrong tokens came from that address.
        """
        self._tries.check(address, text)
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        found = None
        if prefix == _PREFIX and len(text) <= _TEXT_LIMIT and text.isascii():
            found = await self._use(token_id, _digest(secret))
        if found is None:
            self._tries.note_failure(address)
            raise _unknown()
        grant = self._grant(found)
        self._tries.note_success(address, text)
        return grant

    async def renew(self, token_id: str) -> Grant:
        """Return what a token allows whose owner we know in another way.

        Raises:
            TokenInvalid: if it has expired or was revoked.
        """
        found = await self._use(token_id)
        if found is None:
            raise _unknown()
        return self._grant(found)

    async def _use(self, token_id: str, digest: bytes | None = None) -> Token | None:
        """Find a token, and note its use; with *digest* only if that is the digest of its secret."""
        now = self._clock()

        def job(transaction: Transaction) -> Token | None:
            token = transaction.tokens.find(token_id)
            if token is None:
                return None
            if digest is not None and not hmac.compare_digest(token.digest, digest):
                return None
            if now < token.expires_at and (token.last_used_at or 0) <= now - _USE_MILLISECONDS:
                transaction.tokens.note_use(token_id, now)
            return token

        return await self._ledger.run(job, durable=False, brief=True)

    def _grant(self, token: Token) -> Grant:
        if self._clock() >= token.expires_at:
            raise TokenInvalid("The token has expired: ask for another one.")
        return Grant(token.id, token.patterns, token.expires_at)

    @contextmanager
    def using(self, grant: Grant) -> Iterator[trio.CancelScope]:
        """Cancel the ``with`` block when the token expires or is revoked."""
        seconds = (grant.expires_at - self._clock()) / 1000
        with trio.move_on_after(max(0.0, seconds)) as cancel_scope:
            requests = self._requests.setdefault(grant.token, set())
            requests.add(cancel_scope)
            try:
                yield cancel_scope
            finally:
                requests.discard(cancel_scope)
                if not requests and self._requests.get(grant.token) is requests:
                    del self._requests[grant.token]


def _unknown() -> TokenInvalid:
    return TokenInvalid(
        "The token is not known here: it may have been revoked. Ask for another one."
    )


class _Tries:
    """Counts wrong tokens by address.

    A token that was right before is accepted even from an address with too many wrong ones, so that
    others behind that address cannot lock its owner out.
    """

    def __init__(self) -> None:
        self._failures: dict[str, list[float]] = {}
        self._right: dict[tuple[str, bytes], None] = {}

    def check(self, address: str, text: str) -> None:
        failures = self._failures.get(address)
        if failures is None:
            return
        since = trio.current_time() - TRIES_SECONDS
        failures[:] = [time for time in failures if time > since]
        if len(failures) >= TRIES and (address, _digest(text)) not in self._right:
            raise TooManyTries(
                f"{TRIES} wrong tokens came from {address} within {TRIES_SECONDS:.0f} seconds: wait"
                " a minute."
            )

    def note_failure(self, address: str) -> None:
        if address not in self._failures and len(self._failures) >= _ADDRESSES_LIMIT:
            del self._failures[next(iter(self._failures))]
        self._failures.setdefault(address, []).append(trio.current_time())

    def note_success(self, address: str, text: str) -> None:
        self._right[address, _digest(text)] = None
        if len(self._right) > _ADDRESSES_LIMIT:
            del self._right[next(iter(self._right))]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()
