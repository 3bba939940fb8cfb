"""Who is calling: finds the caller's mailbox from the headers of a request.

``X-Mailbox`` names the mailbox itself. ``X-Mailbox-Session`` names a coding-agent session, and
``X-Mailbox-Client`` the process that runs one; the daemon knows their mailboxes. A caller known by
its session is bound to that mailbox: it cannot act for another one by mistake.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from claude_mailbox.daemon.delivery.parties import processes
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.edge.network.grant import Grant, client_key, grant_of
from claude_mailbox.daemon.http.asgi import (
    CONNECTION_KEY,
    Scope,
    headers_named,
    is_local_socket,
)
from claude_mailbox.errors import BadRequest, MailboxError
from claude_mailbox.model.names import USER, check_name
from claude_mailbox.refusals import Forbidden, NameMismatch

MAILBOX_HEADER = b"x-mailbox"
SESSION_HEADER = b"x-mailbox-session"
CLIENT_HEADER = b"x-mailbox-client"

Lookup = Callable[[str], Awaitable[str | None]]


class UnknownSession(MailboxError):
    """That session has no mailbox."""

    code = "unknown-session"
    status = 404


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        name: present name of its mailbox, or None if the request does not say.
        is_bound: whether the name comes from a session, and no other may be used.
        grant: what its token allows; None on this machine.
    """

    name: str | None
    is_bound: bool = False
    grant: Grant | None = None

    def required(self) -> str:
        """Return the name, or raise `BadRequest` if there is none."""
        if self.name is None:
            raise BadRequest(
                "The header X-Mailbox is missing: send the name of your mailbox in it."
            )
        return self.name


class Callers:
    """Identifies callers.

    Args:
        presence: registers their mailboxes.
        by_session: finds the mailbox of a session id.
        by_client: finds the mailbox of the session that a client process runs now.
        user: name of the mailbox of the person at this machine.
    """

    def __init__(
        self, presence: Presence, by_session: Lookup, by_client: Lookup, user: str = USER
    ) -> None:
        self._presence = presence
        self._by_session = by_session
        self._by_client = by_client
        self._user = user
        # Only the person at this machine may use these names.
        self._persons = frozenset({USER, user})

    async def identify(self, scope: Scope, *, register: bool = True) -> Caller:
        """Return the caller; with *register*, make its mailbox and note its presence.

        Raises:
            BadRequest: if a header is malformed or repeated.
            Forbidden: if it names the user's mailbox, and is not from the person at this machine.
            UnknownSession: if the session has no mailbox.
            NotAllowed: if the caller's token is not for that mailbox.
        """
        grant = grant_of(scope)
        name = mailbox_header(scope)
        if name is not None:
            name = check_name(name, "X-Mailbox")
            if name in self._persons:
                await self.check_person(scope)
            if grant is not None:
                await self._check(grant, name)
            return Caller(await self._presence.touch(name) if register else name, grant=grant)
        session = one_header(scope, SESSION_HEADER)
        if session is not None:
            found = await self._by_session(session)
            if found is None:
                raise UnknownSession(
                    f"Session '{session[:80]}' has no mailbox: announce it first, or give a name."
                )
            return self._bound(found, grant, register=register)
        client = client_key(scope, one_header(scope, CLIENT_HEADER))
        if client is not None:
            found = await self._by_client(client)
            if found is not None:
                return self._bound(found, grant, register=register)
        return Caller(None, grant=grant)

    def _bound(self, name: str, grant: Grant | None, *, register: bool) -> Caller:
        if grant is not None:
            grant.check(name)
        if register:
            self._presence.note(name)
        return Caller(name, is_bound=True, grant=grant)

    async def _check(self, grant: Grant, name: str) -> None:
        """Check that the grant allows *name* and, if that is a former name, the present one."""
        grant.check(name)
        present = await self.present(name)
        if present != name:
            grant.check(present)

    async def check_person(self, scope: Scope) -> None:
        """Check that the request comes from the person at this machine, and not from a session.

        Every process that can use the Unix socket belongs to our user. But one that the client of a
        session started, such as a command that its model runs, does not speak for the person.

        Raises:
            Forbidden: if it is from somebody else.
        """
        if not is_local_socket(scope):
            raise self._not_the_user()
        connection = scope.get(CONNECTION_KEY)
        for key in processes.lineage(connection and connection.process):
            mailbox = await self._by_client(key)
            if mailbox is not None:
                raise Forbidden(
                    f"The session '{mailbox}' started this, and only the person at this machine may"
                    " do it: use the web inbox, or a terminal of your own."
                )

    def _not_the_user(self) -> Forbidden:
        return Forbidden(
            f"The mailbox '{self._user}' belongs to the person at this machine: only the web inbox"
            " and the Unix socket may use it."
        )

    async def check_session(self, scope: Scope, session_id: str) -> None:
        """Check that the caller may speak for a session.

        Raises:
            NotAllowed: if its token is not for the session's mailbox.
        """
        grant = grant_of(scope)
        if grant is not None and (name := await self._by_session(session_id)) is not None:
            grant.check(name)

    async def present(self, name: str) -> str:
        """Return the present name of the mailbox that has, or had, *name*."""
        return await self._presence.present(name)

    async def own(
        self, scope: Scope, given: str | None, *, register: bool = True
    ) -> tuple[str, str]:
        """Return the name of the caller's mailbox as given in the request, and its present name.

        Args:
            scope: the request's.
            given: the name in the query or body, or None.
            register: as for ``identify``.

        Raises:
            NameMismatch: if *given* is another mailbox than the header's.
            BadRequest: if either is missing or malformed.
        """
        caller = await self.identify(scope, register=register)
        if caller.is_bound and caller.name is not None and given is None:
            return caller.name, caller.name
        name = check_name(given)
        own = caller.required()
        # Both may be former names: compare them as given first, then by their present names.
        if name == own or name == (mailbox_header(scope) or "").strip():
            return name, own
        if caller.grant is not None:
            await self._check(caller.grant, name)
        if await self.present(name) != await self.present(own):
            raise NameMismatch(
                f"The header X-Mailbox says '{own}', 'name' says '{name}': both must be your"
                " mailbox."
            )
        return name, own

    async def acting_as(
        self, caller: Caller, given: str | None, what: str, *, register: bool = True
    ) -> str:
        """Return the name to act under: the one *given*, else the caller's own.

        Args:
            caller: who calls.
            given: the name in the tool's arguments, checked, or None.
            what: the name of that argument.
            register: make the mailbox of a *given* name, and note its presence.

        Raises:
            BadRequest: if there is neither.
            NameMismatch: if the caller is bound to another mailbox.
            NotAllowed: if the caller's token is not for that mailbox.
        """
        if not self._persons.isdisjoint({given, caller.name}):
            raise self._not_the_user()
        if given is None:
            if caller.name is None:
                raise BadRequest(f"'{what}' is missing: say which mailbox is yours.")
            return caller.name
        if caller.grant is not None:
            await self._check(caller.grant, given)
        if caller.is_bound and caller.name is not None:
            if given != caller.name and await self.present(given) != caller.name:
                raise NameMismatch(
                    f"Your mailbox is '{caller.name}', not '{given}': leave '{what}' out, or use"
                    " rename to change your name."
                )
        elif register:
            await self._presence.touch(given)
        return given


def mailbox_header(scope: Scope) -> str | None:
    """Return the name in ``X-Mailbox``, or None if the header is absent.

    Many clients can send only ASCII in headers, so other names may be percent-encoded UTF-8. A name
    that decodes to ASCII is taken as it is: the percent sign is part of the name.
    """
    name = one_header(scope, MAILBOX_HEADER)
    if name is None or "%" not in name:
        return name
    try:
        decoded = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return name if decoded.isascii() else decoded


def one_header(scope: Scope, name: bytes) -> str | None:
    """Return a header's text, decoded as UTF-8 or else Latin-1; None if it is absent.

    Raises:
        BadRequest: if it is repeated.
    """
    values = headers_named(scope, name)
    if not values:
        return None
    if len(values) > 1:
        raise BadRequest(f"Send the header {name.decode()} only once.")
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        return values[0].decode("latin-1")
