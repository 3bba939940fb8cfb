"""Makes addresses of pages, and reads their fields."""

import os
from urllib.parse import urlencode

from quart import request

from claude_mailbox.model.mail import check_message


def url(path: str, **parameters: object) -> str:
    """Return an address with those parameters that are not empty."""
    given = {key: value for key, value in parameters.items() if value not in (None, "", 0)}
    return f"{path}?{urlencode(given)}" if given else path


def form_key() -> str:
    """Return an idempotency key, so that a form that is sent twice stores one message."""
    return os.urandom(12).hex()


def number_of(key: str) -> int | None:
    """Return the number of a message in a parameter of the request, or None."""
    value = request.args.get(key)
    return None if value is None else check_message(value, key)


def whole(text: str | None, least: int) -> int:
    """Return the number in *text*; *least* if it is smaller, or not a number of up to six digits."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 7
    return max(least, int(text or 0)) if is_number else least
