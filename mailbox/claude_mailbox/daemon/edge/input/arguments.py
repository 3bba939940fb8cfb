"""Reads arguments of tool calls and fields of requests leniently.

Models write numbers as text and text as numbers, and null or an empty text for an argument that they
do not use. Where only one thing can be meant, that is accepted.
"""

import math
from collections.abc import Mapping

from claude_mailbox.daemon.edge.input.request import in_range
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.names import check_name

Arguments = Mapping[str, object]


def text(arguments: Arguments, key: str) -> object:
    """Return an argument that should be text: a whole number as its digits, others unchanged."""
    value = arguments.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**20:
        return str(value)
    return value


def name(arguments: Arguments, key: str) -> str | None:
    """Return the name of a mailbox, or None if it is not given.

    Raises:
        InvalidName: if it is malformed.
    """
    value = text(arguments, key)
    return None if value in (None, "") else check_name(value, key)


def number(arguments: Arguments, key: str, default: float) -> float:
    """Return a number, which may be written as text.

    Raises:
        BadRequest: if it is something else.
    """
    value = arguments.get(key)
    if value in (None, ""):
        return default
    if isinstance(value, str):
        try:
            # float() also accepts underscores and the digits of other scripts.
            value = float(value) if value.isascii() and "_" not in value else math.nan
        except ValueError:
            value = math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise BadRequest(f"'{key}' must be a number.")
    return value


def whole(arguments: Arguments, key: str, default: int, low: int) -> int:
    """Return a whole number of at least *low*.

    Raises:
        BadRequest: if it is something else.
    """
    value = number(arguments, key, default)
    if value < low or value % 1:
        raise BadRequest(f"'{key}' must be a whole number of at least {low:,}.")
    return int(value)


def text_or_none(arguments: Arguments, key: str) -> object:
    """Return an argument as ``text`` does, or None if it is empty."""
    value = text(arguments, key)
    return None if value == "" else value


def seconds(arguments: Arguments, key: str, bounds: tuple[float, float]) -> float | None:
    """Return a number of seconds within *bounds*, or None if it is not given.

    Raises:
        BadRequest: if it is something else.
    """
    if arguments.get(key) in (None, ""):
        return None
    return float(in_range(key, number(arguments, key, 0.0), *bounds))


def flag(arguments: Arguments, key: str) -> bool:
    """Return true or false, which may be written as text; false if it is not given.

    Raises:
        BadRequest: if it is something else.
    """
    value = arguments.get(key)
    if isinstance(value, str):
        value = {"true": True, "false": False, "": False}.get(value.lower(), value)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise BadRequest(f"'{key}' must be true or false.")
    return value
