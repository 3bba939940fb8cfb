"""Tokens, by which clients on other machines are known."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.names import NAME_LIMIT

PATTERNS_LIMIT = 100
DAYS_DEFAULT = 90
DAYS_LIMIT = 3650
DAY_MILLISECONDS = 24 * 3600 * 1000

# What names are made of, and the star.
_has_only_name_characters = re.compile(r"[\w ._\-+:/@*]+").fullmatch


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. The token itself is nowhere but with its owner.

    Attributes:
        id: the part of it that is not secret.
        digest: SHA-256 of the part that is.
        patterns: names of mailboxes that it is for; a star in them stands for any text.
        created_at: when it was made, in milliseconds since the epoch.
        expires_at: when it is over.
        last_used_at: when it was last used, to the minute; None for never.
    """

    id: str
    digest: bytes
    patterns: Sequence[str]
    created_at: int
    expires_at: int
    last_used_at: int | None = None


def check_patterns(value: object, what: str) -> Sequence[str]:
    """Return the patterns of a token.

    Raises:
        BadRequest: if they are no list of patterns for names.
    """
    if not isinstance(value, list) or not 0 < len(value) <= PATTERNS_LIMIT:
        raise BadRequest(f"'{what}' must be a list of 1 to {PATTERNS_LIMIT} names of mailboxes.")
    for pattern in value:
        is_text = isinstance(pattern, str) and 0 < len(pattern) <= NAME_LIMIT
        if not is_text or not _has_only_name_characters(pattern):
            raise BadRequest(
                f"'{what}' must have names of mailboxes, in which * stands for any text, such as"
                " 'web-*'."
            )
    return value
