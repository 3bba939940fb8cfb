"""Checks fields of a request's JSON."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from claude_mailbox.daemon.edge.description import Keywords
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.mail import check_message

ID_LIMIT = 200
TOKENS_LIMIT = 10_000

# Control characters, and what ends a line.
_FORBIDDEN = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029"
_has_forbidden = re.compile(f"[{_FORBIDDEN}\\ud800-\\udfff]").search
# Not only blanks, and nothing forbidden.
_PATTERN = f"^[^{_FORBIDDEN}]*[^{_FORBIDDEN}\\s][^{_FORBIDDEN}]*$"

Text = Annotated[str, Keywords(minLength=1, maxLength=ID_LIMIT, pattern=_PATTERN)]
OptionalText = Annotated[str | None, Keywords(minLength=1, maxLength=ID_LIMIT, pattern=_PATTERN)]
Token = Annotated[str, Keywords(pattern="^[\\u0000-\\u007f]*$")]
Tokens = Annotated[list[Token], Keywords(maxItems=TOKENS_LIMIT)]


def text(content: Mapping[str, object], key: str, limit: int = ID_LIMIT) -> str:
    """Return a required text, without blanks around it.

    Raises:
        BadRequest: if it is missing, empty, longer than *limit* or has control characters.
    """
    value = content.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"'{key}' is missing or empty: give it as a string.")
    if len(value) > limit or _has_forbidden(value):
        raise BadRequest(f"'{key}' must have at most {limit} characters and no control characters.")
    return value.strip()


def optional_text(content: Mapping[str, object], key: str, limit: int = ID_LIMIT) -> str | None:
    """Return a text as ``text`` does, or None if it is not given."""
    return None if content.get(key) is None else text(content, key, limit)


def flag(content: Mapping[str, object], key: str, *, default: bool) -> bool:
    """Return true or false, or *default* if it is not given.

    Raises:
        BadRequest: if it is something else.
    """
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequest(f"'{key}' must be true or false.")
    return value


def whole(
    content: Mapping[str, object], key: str, default: int = 0, low: int = 0, high: int = 2**63 - 1
) -> int:
    """Return a whole number from *low* to *high*, or *default* if it is not given.

    Raises:
        BadRequest: if it is something else.
    """
    value = content.get(key)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # in JSON, 1.0 is a whole number, too
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(f"'{key}' must be a whole number from {low} to {high}.")
    return value


def lease_tokens(content: Mapping[str, object], key: str) -> Sequence[str]:
    """Return a list of lease tokens.

    Raises:
        BadRequest: if it is something else, or too long.
    """
    tokens = content.get(key)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise BadRequest(f"'{key}' must be a list of lease tokens.")
    if not all(token.isascii() for token in tokens):
        raise BadRequest(f"'{key}' has a text that is not a lease token.")
    if len(tokens) > TOKENS_LIMIT:
        raise BadRequest(f"'{key}' has {len(tokens)} tokens; the limit is {TOKENS_LIMIT}.")
    return tokens


def numbers(content: Mapping[str, object], key: str) -> Sequence[int]:
    """Return a list of numbers of messages.

    Raises:
        BadRequest: if it is something else, or too long.
    """
    value = content.get(key)
    if not isinstance(value, list) or len(value) > TOKENS_LIMIT:
        raise BadRequest(f"'{key}' must be a list of at most {TOKENS_LIMIT} numbers of messages.")
    return [check_message(each, key) for each in value]
