"""Checks fields of a message that REST and MCP share."""

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import NORMAL, URGENCIES
from claude_mailbox.model.mail import check_message

DAY_SECONDS = 24 * 3600
ASK_RANGE = (1.0, float(DAY_SECONDS))
# Of a time to live and of a delay.
TIME_RANGE = (1.0, 30.0 * DAY_SECONDS)


def reply_to(value: object, key: str) -> int | None:
    """Return the number of the message that is replied to, or None.

    Raises:
        BadRequest: if it is something else; *key* names the field in the sentence.
    """
    return None if value is None else check_message(value, key)


def urgency(value: object, key: str) -> str:
    """Return one of `URGENCIES`, ``normal`` if it is not given.

    Raises:
        BadRequest: if it is something else; *key* names the field in the sentence.
    """
    if value is None:
        return NORMAL
    if value not in URGENCIES:
        raise BadRequest(f"'{key}' must be one of: {', '.join(URGENCIES)}.")
    return str(value)
