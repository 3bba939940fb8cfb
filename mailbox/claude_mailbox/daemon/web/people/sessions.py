"""The REST routes of sessions, which the hooks of a coding agent call."""

from collections.abc import Iterable, Mapping
from typing import Annotated, NotRequired, TypedDict

from claude_mailbox.daemon.delivery.sessions.registry import (
    CLEAR,
    PEERS_LIMIT,
    PEERS_MINUTES,
    Sessions,
    SessionTaken,
)
from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input import arguments as given
from claude_mailbox.daemon.edge.input.callers import Callers, UnknownSession
from claude_mailbox.daemon.edge.input.request import Request, in_range
from claude_mailbox.daemon.edge.input.subagents import SubagentCalls
from claude_mailbox.daemon.edge.network.grant import check_allowed, client_key, grant_of
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import listing_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.web.fields import OptionalText, Text, flag, optional_text, text
from claude_mailbox.errors import InvalidName
from claude_mailbox.model.names import USER, check_name, check_new_name, is_reserved
from claude_mailbox.model.sessions import Start

# The defaults of `deleteAfterMinutes` and `maxMailboxes`.
_MINUTES_LIMIT = 10_080
_PEERS_LIMIT = 10_000

_PeerMinutes = Annotated[
    float | None, Keywords(minimum=0, maximum=_MINUTES_LIMIT, default=PEERS_MINUTES)
]
_MaxPeers = Annotated[float | None, Keywords(minimum=0, maximum=_PEERS_LIMIT, default=PEERS_LIMIT)]


class StartBody(TypedDict):
    """A session that starts or is resumed."""

    sessionId: Text
    name: shapes.NewName
    source: NotRequired[OptionalText]
    client: NotRequired[OptionalText]
    bell: NotRequired[bool | None]
    peerWindowMinutes: NotRequired[_PeerMinutes]
    maxPeers: NotRequired[_MaxPeers]


class EndBody(TypedDict):
    """A session that ends."""

    sessionId: Text
    reason: NotRequired[OptionalText]
    client: NotRequired[OptionalText]


class SubagentCallBody(TypedDict):
    """A tool call that a subagent makes."""

    toolUseId: Text


class SessionQuery(TypedDict):
    """A session, or the process that runs it; one of the two must be given."""

    id: NotRequired[Text]
    client: NotRequired[Text]


_START = Description(
    "Give a session its mailbox", shapes.Welcome, body=StartBody, errors=(SessionTaken,)
)
_END = Description("End a session", shapes.Farewell, body=EndBody)
_SUBAGENT_CALL = Description(
    "Report a tool call of a subagent", shapes.SubagentCall, body=SubagentCallBody
)
_FIND = Description(
    "Find the mailbox of a session",
    shapes.SessionMailbox,
    query=SessionQuery,
    errors=(UnknownSession,),
)


class SessionRoutes:
    """The routes of sessions.

    Args:
        sessions: starts, ends and finds them.
        subagents: remembers the calls of subagents.
        callers: checks who may speak for a session.
        user: name of the mailbox of the person at this machine.
    """

    def __init__(
        self, sessions: Sessions, subagents: SubagentCalls, callers: Callers, user: str
    ) -> None:
        self._sessions = sessions
        self._subagents = subagents
        self._callers = callers
        self._user = user

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("POST", "/v1/session", self._start, _START),
            Route("POST", "/v1/session/end", self._end, _END),
            Route("POST", "/v1/session/subagent-call", self._note_subagent_call, _SUBAGENT_CALL),
            Route("GET", "/v1/session", self._find, _FIND),
        )

    async def _start(self, request: Request) -> Response:
        content = request.json()
        has_bell = flag(content, "bell", default=True)
        session_id, name = text(content, "sessionId"), self._wish(content.get("name"))
        check_allowed(request.scope, name)
        await self._callers.check_session(request.scope, session_id)
        welcome = await self._sessions.start(
            Start(
                session_id=session_id,
                name=name,
                client=client_key(request.scope, optional_text(content, "client")),
                # A file here wakes nobody on another machine.
                has_bell=has_bell and grant_of(request.scope) is None,
                takes_over=optional_text(content, "source") == CLEAR,
            ),
            peer_minutes=_number(content, "peerWindowMinutes", PEERS_MINUTES, _MINUTES_LIMIT),
            max_peers=_number(content, "maxPeers", PEERS_LIMIT, _PEERS_LIMIT),
        )
        return Response(
            {
                "name": welcome.name,
                "pending": welcome.pending,
                "bell": welcome.bell,
                "peers": [
                    listing_json(listing, watching=watching) for listing, watching in welcome.peers
                ],
                "morePeers": welcome.more_peers,
            }
        )

    async def _end(self, request: Request) -> Response:
        content = request.json()
        session_id = text(content, "sessionId")
        await self._callers.check_session(request.scope, session_id)
        name, deleted = await self._sessions.end(
            session_id,
            optional_text(content, "reason") or "",
            client_key(request.scope, optional_text(content, "client")),
        )
        return Response({"name": name, "deleted": deleted})

    async def _note_subagent_call(self, request: Request) -> Response:
        tool_use_id = text(request.json(), "toolUseId")
        self._subagents.note(tool_use_id)
        return Response({"toolUseId": tool_use_id})

    async def _find(self, request: Request) -> Response:
        given = {"id": request.parameter("id"), "client": request.parameter("client")}
        session_id = optional_text(given, "id")
        client = client_key(request.scope, optional_text(given, "client"))
        if session_id is None and client is not None:
            session_id = await self._sessions.session_of(client)
            if session_id is None:
                raise UnknownSession(f"The client '{client}' runs no session that was announced.")
        session_id = session_id or text(given, "id")
        name = await self._sessions.mailbox_of(session_id)
        if name is None:
            raise UnknownSession(f"Session '{session_id}' has no mailbox: announce it first.")
        return Response({"sessionId": session_id, "name": name})

    def _wish(self, value: object) -> str:
        """Return the name that a session asks for; a reserved prefix, from its project, is removed."""
        name = check_name(value)
        if is_reserved(name):
            name = name[len("claude-") :] or name
        if name in {USER, self._user}:
            raise InvalidName(f"The name '{name}' belongs to the person at this machine.")
        check_new_name(name)
        return name


def _number(content: Mapping[str, object], key: str, default: float, high: float) -> float:
    return in_range(key, given.number(content, key, default), 0, high)
