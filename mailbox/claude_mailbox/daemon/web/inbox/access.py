"""Who may see the inbox: one-time addresses, the cookie that they become, and tokens of forms.

Nothing of it is stored but the addresses that were not used yet. Cookies and tokens are proved by
the secret in the home folder, so they outlast a restart of the daemon. A cookie is named after the
secret: browsers send one to every port of a host, and two daemons must not overwrite each other's.
"""

import hmac
import os
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from claude_mailbox.daemon.http.asgi import Scope, headers_named

TICKET_SECONDS = 60
COOKIE_SECONDS = 30 * 24 * 3600
# More than these wait for nobody: the oldest one goes.
_TICKETS_LIMIT = 16

# What is signed for one purpose must not do for another. Proofs for `/v1/identity` are of letters
# and digits alone, so none of these can be had there.
_NAME, _COOKIE, _FORM = "inbox name:", "inbox cookie:", "inbox form:"


class InboxAccess:
    """Lets the person in.

    Args:
        sign: signs a text with the secret in the home folder.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, sign: Callable[[str], str], clock: Callable[[], int]) -> None:
        self._sign = sign
        self._clock = clock
        self._tickets: dict[str, int] = {}
        self.cookie_name = f"claude-mailbox-{sign(_NAME)[:8]}"

    def __repr__(self) -> str:
        return f"<InboxAccess: {len(self._tickets)} tickets>"

    def create_ticket(self) -> str:
        """Return what lets a browser in once, within a minute."""
        ticket = os.urandom(24).hex()
        while len(self._tickets) >= _TICKETS_LIMIT:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[ticket] = self._clock() + TICKET_SECONDS * 1000
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return the value of a new cookie for a ticket, which is used up; None if it is not good."""
        until = self._tickets.pop(ticket, 0)
        if until <= self._clock():
            return None
        content = f"{self._clock() // 1000 + COOKIE_SECONDS}.{os.urandom(16).hex()}"
        return f"{content}.{self._sign(_COOKIE + content)}"

    def cookie_of(self, scope: Scope) -> str | None:
        """Return the request's cookie if it is good, else None."""
        for header in headers_named(scope, b"cookie"):
            try:
                morsel = SimpleCookie(header.decode("latin-1")).get(self.cookie_name)
            except CookieError:
                continue
            if morsel is not None and self._is_good(morsel.value):
                return morsel.value
        return None

    def _is_good(self, cookie: str) -> bool:
        content, _, signature = cookie.rpartition(".")
        until = content.partition(".")[0]
        return (
            until.isascii()
            and until.isdigit()
            and _equal(signature, self._sign(_COOKIE + content))
            and int(until) * 1000 > self._clock()
        )

    def form_token(self, cookie: str) -> str:
        """Return what the forms of that browser carry: no other page can know it."""
        return self._sign(_FORM + cookie)

    def is_form_token(self, token: str, cookie: str) -> bool:
        """Return whether a form of ours was sent."""
        return _equal(token, self.form_token(cookie))


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
