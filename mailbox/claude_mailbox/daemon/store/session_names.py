"""Names for the mailbox of a new session."""

from collections.abc import Iterator

from claude_mailbox.model.sessions import Start

_SUFFIX_STEP = 4
_SHORT_SUFFIX = 8


def names_for(session: Start) -> Iterator[str]:
    """Yield names without end: the one the session asks for, then longer ones."""
    yield session.name
    letters = "".join(c for c in session.session_id.lower() if c.isascii() and c.isalnum())
    stem = session.name.removesuffix(letters[:_SHORT_SUFFIX])
    if stem != session.name:
        for length in range(_SHORT_SUFFIX + _SUFFIX_STEP, len(letters) + 1, _SUFFIX_STEP):
            yield stem + letters[:length]
    number = 2
    while True:
        yield f"{session.name}-{number}"
        number += 1
