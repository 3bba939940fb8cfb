"""A request, as handlers see it."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl

import orjson

from claude_mailbox.daemon.http.asgi import Scope
from claude_mailbox.errors import BadRequest


class Request:
    """One request.

    Args:
        scope: the ASGI scope.
        body: all of the body.
    """

    __slots__ = ("_query", "body", "scope")

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.scope = scope
        self.body = body
        self._query: Mapping[str, Sequence[str]] | None = None

    def has(self, key: str) -> bool:
        """Return whether the query has that parameter, and it is not empty."""
        return any(self._parameters().get(key, ()))

    def parameter(self, key: str) -> str | None:
        """Return a parameter of the query, or None if it is absent or empty.

        Raises:
            BadRequest: if it is repeated.
        """
        values = self._parameters().get(key)
        if values is None:
            return None
        if len(values) > 1:
            raise BadRequest(f"Give '{key}' only once.")
        return values[0] or None

    def _parameters(self) -> Mapping[str, Sequence[str]]:
        if self._query is None:
            self._query = _parse_query(self.scope["query_string"])
        return self._query

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a parameter as a number from *low* to *high*.

        Raises:
            BadRequest: if it is not a number, or out of range.
        """
        text = self.parameter(key) or ""
        if key not in self._parameters():
            return default
        try:
            # float() also accepts underscores and the digits of other scripts.
            value = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadRequest(f"'{key}' must be a number, not '{text[:40]}'.")
        return in_range(key, value, low, high)

    def flag(self, key: str) -> bool:
        """Return whether a parameter is ``true``; False if it is absent.

        Raises:
            BadRequest: if it is neither ``true`` nor ``false``.
        """
        if key not in self._parameters():
            return False
        text = self.parameter(key) or ""
        if text not in {"true", "false"}:
            raise BadRequest(f"'{key}' must be true or false, not '{text[:40]}'.")
        return text == "true"

    def json(self) -> Mapping[str, object]:
        """Return the body's JSON object.

        Raises:
            BadRequest: if the body is not JSON, or not an object.
        """
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            content = self._lenient_json()
        if not isinstance(content, dict):
            raise BadRequest("The body must be one JSON object.")
        return content

    def _lenient_json(self) -> object:
        """Parse the body with Python's json, which also accepts NaN; allow a byte order mark."""
        try:
            # Decoded here, because json would guess the encoding.
            return json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The body is not valid JSON: {str(error)[:200]}.") from None


# Clients repeat the same queries.
@lru_cache(maxsize=128)
def _parse_query(query: bytes) -> Mapping[str, Sequence[str]]:
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise BadRequest("The query is malformed: encode it as UTF-8.") from None
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return values


def in_range(key: str, value: float, low: float, high: float) -> float:
    """Return *value*, or raise `BadRequest` if it is not from *low* to *high*."""
    if not low <= value <= high:
        bounds = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:.15g}"
        raise BadRequest(f"'{key}' must be {bounds}, not {str(value)[:40]}.")
    return value
