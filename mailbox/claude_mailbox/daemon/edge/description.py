"""What a route takes and answers, in the types that its code uses.

The OpenAPI document is made from these. The JSON of requests and answers is described by classes of
`typing.TypedDict`; ``Annotated[str, Keywords(maxLength=200)]`` adds keywords of JSON Schema to a type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from claude_mailbox.errors import MailboxError

Identity = Literal["none", "optional", "required"]


class Keywords:
    """Keywords of JSON Schema, beside a type."""

    def __init__(self, **keywords: object) -> None:
        self.schema = keywords


@dataclass(frozen=True, slots=True)
class Description:
    """What a route takes and answers.

    Attributes:
        summary: what it does, in a few words.
        answer: type of the answer's JSON; None if it has no body.
        identity: whether the request says by its headers who calls.
        is_existing: whether that may be any mailbox that there is, because none is made for it.
        query: `TypedDict` of the parameters, or None.
        body: type of the request's JSON, or None.
        headers: headers of the answer and what they say.
        may_be_empty: whether the answer may be a 204, too.
        errors: what the route raises besides what every route does.
        media_type: of the answer.
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
