"""Descriptions of routes, from which the OpenAPI document is made.

The JSON of requests and answers is described by `typing.TypedDict` classes;
``Annotated[str, Keywords(maxLength=200)]`` adds keywords of JSON Schema to a type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from claude_mailbox.errors import MailboxError

Identity = Literal["none", "optional", "required"]


class Keywords:
    """Keywords of JSON Schema to add to a type."""

    def __init__(self, **keywords: object) -> None:
        self.schema = keywords


@dataclass(frozen=True, slots=True)
class Description:
    """What a route takes and answers.

    Attributes:
        summary: what it does, in a few words.
        answer: type of the answer's JSON; None if it has no body.
        identity: whether the request's headers say who calls.
        is_existing: whether the caller's name only has to exist: the route makes no mailbox.
        query: `TypedDict` of the parameters, or None.
        body: type of the request's JSON, or None.
        headers: headers of the answer, and their meaning.
        may_be_empty: whether the answer may also be a 204.
        errors: what the route may raise, besides the errors of every route.
        media_type: the answer's.
    """

    summary: str
    answer: Any
    identity: Identity = "none"
    is_existing: bool = False
    query: type | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    may_be_empty: bool = False
    errors: tuple[type[MailboxError], ...] = ()
    media_type: str = "application/json"
