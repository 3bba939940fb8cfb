"""Who may see the inbox: one-time tickets, the cookie that a ticket becomes, and tokens of forms.

Whoever comes from another machine has a cookie that was made for a token, and is let in as long as that
token is good.

Only unused tickets are kept, in memory. Cookies and tokens are signed with the secret in the home
folder, so they survive a restart of the daemon. The cookie's name is made from the secret, too:
browsers send cookies to every port of a host, and two daemons must not overwrite each other's.
"""

import hmac
import os
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from claude_mailbox.daemon.edge.network.grant import grant_of
from claude_mailbox.daemon.http.asgi import Scope, headers_named

TICKET_SECONDS = 60
COOKIE_SECONDS = 30 * 24 * 3600
# Most unused tickets; the oldest one is dropped for a new one.
_TICKETS_LIMIT = 16

# Prefixes of what is signed, so that no signature can be used for another purpose. `/v1/identity` signs
# letters and digits only, so it cannot make one of these.
_NAME, _COOKIE, _FORM = "inbox name:", "inbox cookie:", "inbox form:"


class InboxAccess:
    """Gives the person at this machine access, and those who have a token for that.

    Args:
        sign: signs a text with the secret in the home folder.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, sign: Callable[[str], str], clock: Callable[[], int]) -> None:
        self._sign = sign
        self._clock = clock
        self._tickets: dict[str, tuple[int, str]] = {}
        self.cookie_name = f"claude-mailbox-{sign(_NAME)[:8]}"

    def __repr__(self) -> str:
        return f"<InboxAccess: {len(self._tickets)} tickets>"

    def create_ticket(self, token: str = "") -> str:
        """Return a ticket, which lets a browser in once, within a minute.

        *token* is the id of the token by which it was asked for; empty on this machine.
        """
        ticket = os.urandom(24).hex()
        while len(self._tickets) >= _TICKETS_LIMIT:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[ticket] = self._clock() + TICKET_SECONDS * 1000, token
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Use a ticket up; return the value of a new cookie, or None if the ticket is not valid."""
        until, token = self._tickets.pop(ticket, (0, ""))
        if until <= self._clock():
            return None
        content = f"{self._clock() // 1000 + COOKIE_SECONDS}.{os.urandom(16).hex()}"
        if token:
            content += f".{token}"
        return f"{content}.{self._sign(_COOKIE + content)}"

    def cookie_of(self, scope: Scope) -> str | None:
        """Return the request's cookie, or None if there is none that is good where it comes from."""
        cookie = self._good_cookie(scope)
        grant = grant_of(scope)
        if cookie is None or _token_in(cookie) != (None if grant is None else grant.token):
            return None
        return cookie

    def token_of(self, scope: Scope) -> str | None:
        """Return the id of the token for which the request's cookie was made, or None."""
        cookie = self._good_cookie(scope)
        return None if cookie is None else _token_in(cookie)

    def _good_cookie(self, scope: Scope) -> str | None:
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
        """Return the token in the forms of that browser, which no other page can know."""
        return self._sign(_FORM + cookie)

    def is_form_token(self, token: str, cookie: str) -> bool:
        """Return whether *token* is that of a form of ours."""
        return _equal(token, self.form_token(cookie))


def _token_in(cookie: str) -> str | None:
    parts = cookie.split(".")
    return parts[2] if len(parts) == 4 else None


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
