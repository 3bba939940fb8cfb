"""What a token allows: which mailboxes its owner may have.

It does not limit to whom the owner may write, nor which mailboxes it sees. A request without a grant
comes from this machine, and may do everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from claude_mailbox.daemon.http.asgi import Scope
from claude_mailbox.model.names import is_reserved
from claude_mailbox.refusals import NotAllowed

# Scope key of the request's `Grant`.
GRANT_KEY = "claude_mailbox.grant"


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token of a request allows.

    Attributes:
        token: id of the token.
        patterns: names of mailboxes that its owner may have; ``*`` stands for any text.
        expires_at: when it expires, in milliseconds since the epoch.
    """

    token: str
    patterns: Sequence[str]
    expires_at: int

    def check(self, name: str) -> None:
        """Check that the caller may have that mailbox.

        Raises:
            NotAllowed: if not.
        """
        if is_reserved(name) or not any(fnmatchcase(name, each) for each in self.patterns):
            raise NotAllowed(
                f"Your token is not for the mailbox '{name}', but for {' '.join(self.patterns)}:"
                " use such a name, or ask for another token."
            )

    def check_inbox(self, user: str) -> None:
        """Check that the caller may open the inbox, and there speak for the mailbox *user*.

        A pattern that matches it is not enough: such tokens are for agents.

        Raises:
            NotAllowed: if not.
        """
        if user not in self.patterns:
            raise NotAllowed(
                "The inbox shows all mail: open it on the daemon's own machine, or with a token for"
                f" the mailbox '{user}'."
            )


def grant_of(scope: Scope) -> Grant | None:
    """Return the grant of a request, or None if it comes from this machine."""
    return scope.get(GRANT_KEY)


def client_key(scope: Scope, key: str | None) -> str | None:
    """Return the key of the caller's client process, as it is stored.

    The keys of another machine are marked with the token, so that they cannot name our processes.
    """
    grant = grant_of(scope)
    return key if grant is None or key is None else f"{key}@{grant.token}"


def check_allowed(scope: Scope, name: str) -> None:
    """Check that the caller may have that mailbox.

    Raises:
        NotAllowed: if its token is not for it.
    """
    grant = grant_of(scope)
    if grant is not None:
        grant.check(name)


def check_local(scope: Scope) -> None:
    """Check that the request comes from this machine.

    Raises:
        NotAllowed: if it came with a token.
    """
    if grant_of(scope) is not None:
        raise NotAllowed("This is for clients on the daemon's own machine: no token allows it.")
