"""What schemathesis does to each request: see ``schemathesis.toml``, too."""

import unicodedata
from contextlib import suppress
from typing import Any

import schemathesis

from claude_mailbox.model.groups import DESCRIPTION_LIMIT
from claude_mailbox.model.names import NAME_LIMIT, UNSEEN

# A long-poll that waits longer teaches nothing.
WAIT_SECONDS = 0.02

# What the descriptions of new names say. Not every validator knows these patterns, so the document
# has none.
_NEW = r"[\p{L}\p{N}._+:/]([\p{L}\p{M}\p{N} ._+:/@-]*\s*)?"
PATTERNS = {
    "Name of a mailbox: letters": rf"^\s*{_NEW}$",
    "Name of a group: ": rf"^@{_NEW}$",
    "Name of a group, or nothing": rf"^(@{_NEW})?$",
}


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: Any) -> None:
    """Say in a pattern what the description of new names says in words."""
    if isinstance(raw_schema, dict):
        for description, pattern in PATTERNS.items():
            if str(raw_schema.get("description")).startswith(description):
                raw_schema["pattern"] = pattern
        for value in list(raw_schema.values()):
            before_load_schema(context, value)
    elif isinstance(raw_schema, list):
        for value in raw_schema:
            before_load_schema(context, value)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out letters that are newer than this Python, and those that are not seen.

    And what OpenAPI cannot say: that a name or a description is measured when it is trimmed and in
    normal form; and that a parameter of the query needs a field of the body, as a wait for an answer
    needs a question.
    """
    if case.operation.path == "/v1/send" and "wait" in (case.query or {}):
        return isinstance(case.body, dict) and bool(case.body.get("ask"))
    parameters = list(case.query.values()) if isinstance(case.query, dict) else []
    fields = list(case.body.values()) if isinstance(case.body, dict) else []
    texts = [*parameters, *(case.headers or {}).values(), *fields]
    return not any(
        _is_short_when_trimmed(text)
        or any(unicodedata.category(each) == "Cn" or each in UNSEEN for each in text)
        for text in texts
        if isinstance(text, str)
    )


def _is_short_when_trimmed(text: str) -> bool:
    trimmed = unicodedata.normalize("NFC", text.strip())
    return any(len(text) > limit >= len(trimmed) for limit in (NAME_LIMIT, DESCRIPTION_LIMIT))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let long-polls end soon, and the two names of a request agree, as those of real clients do."""
    query = case.query if isinstance(case.query, dict) else {}
    key = {"/v1/watch": "timeout", "/v1/message": "timeout", "/v1/send": "wait"}.get(
        case.operation.path
    )
    if key is not None and (key == "timeout" or key in query):
        with suppress(TypeError, ValueError):
            case.query = {**query, key: min(float(query.get(key) or 25), WAIT_SECONDS)}
    name = query.get("name")
    # What is meant to be wrong stays wrong.
    is_valid = case.meta is None or case.meta.generation.mode.is_positive
    if (
        is_valid
        and isinstance(name, str)
        and name.isascii()
        and "X-Mailbox" in (case.headers or {})
    ):
        case.headers["X-Mailbox"] = name.strip()
