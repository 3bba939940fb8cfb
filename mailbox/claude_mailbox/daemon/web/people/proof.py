"""The REST routes with which hooks report what a session does, and what mail its model has."""

from collections.abc import Iterable, Mapping
from typing import Annotated, NotRequired, TypedDict

from claude_mailbox.daemon.delivery.sessions.proof import Proofs
from claude_mailbox.daemon.edge.description import Description, Keywords
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import lease_outcome_json, shown_json
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.web.fields import (
    OptionalText,
    Text,
    Tokens,
    flag,
    lease_tokens,
    optional_text,
    text,
    whole,
)
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.sessions import SESSION_STATES, SHOWN_KINDS, SessionEvent, Shown

_PATH_LIMIT = 4096

_Path = Annotated[OptionalText, Keywords(maxLength=_PATH_LIMIT)]
_Whole = Annotated[int | None, Keywords(minimum=0, maximum=2**63 - 1)]


class EventBody(TypedDict):
    """What happens in a session."""

    sessionId: Text
    state: NotRequired[Annotated[str | None, Keywords(enum=[*SESSION_STATES, None])]]
    beginsTurn: NotRequired[bool | None]
    byUser: NotRequired[bool | None]
    transcript: NotRequired[_Path]
    cwd: NotRequired[_Path]
    project: NotRequired[OptionalText]


class ShownBody(TypedDict):
    """Messages that a session was shown."""

    sessionId: Text
    leases: Tokens
    kind: NotRequired[Annotated[str | None, Keywords(enum=[*SHOWN_KINDS, None])]]
    transcript: NotRequired[_Path]
    inode: NotRequired[_Whole]
    size: NotRequired[_Whole]


class ProofBody(TypedDict):
    """Messages that have arrived, and messages that are lost."""

    sessionId: Text
    arrived: Tokens
    lost: Tokens


_EVENT = Description("Report what happens in a session", shapes.Unproved, body=EventBody)
_SHOWN = Description("Report what a session was shown", shapes.LeaseOutcome, body=ShownBody)
_PROOF = Description("Report which of it has arrived", shapes.ProofOutcome, body=ProofBody)


class ProofRoutes:
    """The routes of session events and proof of arrival.

    Args:
        proofs: keeps unproved messages.
        callers: checks who may speak for a session.
    """

    def __init__(self, proofs: Proofs, callers: Callers) -> None:
        self._proofs = proofs
        self._callers = callers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        return (
            Route("POST", "/v1/session/event", self._event, _EVENT),
            Route("POST", "/v1/session/shown", self._shown, _SHOWN),
            Route("POST", "/v1/session/proof", self._proof, _PROOF),
        )

    async def _event(self, request: Request) -> Response:
        content = request.json()
        event = SessionEvent(
            session_id=text(content, "sessionId"),
            state=_one_of(content, "state", SESSION_STATES, default=None),
            begins_turn=flag(content, "beginsTurn", default=False),
            is_by_user=flag(content, "byUser", default=False),
            transcript=optional_text(content, "transcript", _PATH_LIMIT),
            cwd=optional_text(content, "cwd", _PATH_LIMIT),
            project=optional_text(content, "project"),
        )
        await self._callers.check_session(request.scope, event.session_id)
        return Response({"unproved": [shown_json(e) for e in await self._proofs.note_event(event)]})

    async def _shown(self, request: Request) -> Response:
        content = request.json()
        kind = _one_of(content, "kind", SHOWN_KINDS, default="context")
        transcript = optional_text(content, "transcript", _PATH_LIMIT) or ""
        inode, size = whole(content, "inode"), whole(content, "size")
        shown = [
            Shown(token, kind or "", False, 0, transcript, inode, size)
            for token in lease_tokens(content, "leases")
        ]
        session_id = text(content, "sessionId")
        await self._callers.check_session(request.scope, session_id)
        outcome = await self._proofs.add(session_id, shown)
        return Response(lease_outcome_json(outcome))

    async def _proof(self, request: Request) -> Response:
        content = request.json()
        session_id = text(content, "sessionId")
        arrived, lost = lease_tokens(content, "arrived"), lease_tokens(content, "lost")
        await self._callers.check_session(request.scope, session_id)
        settled = await self._proofs.settle(session_id, arrived)
        released = await self._proofs.release(session_id, lost)
        return Response(
            {
                "arrived": lease_outcome_json(settled),
                "lost": lease_outcome_json(released),
            }
        )


def _one_of(
    content: Mapping[str, object], key: str, values: tuple[str, ...], *, default: str | None
) -> str | None:
    value = content.get(key)
    if value is None:
        return default
    if value not in values:
        raise BadRequest(f"'{key}' must be one of: {', '.join(values)}.")
    return str(value)
