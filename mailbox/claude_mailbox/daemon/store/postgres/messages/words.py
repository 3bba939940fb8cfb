"""Splits texts into words for PostgreSQL's full-text search, as SQLite's FTS5 does.

A word is a run of letters and digits; case and accents are ignored. PostgreSQL's own parser depends on
the server's locale, and splits paths and addresses differently.
"""

import re
import unicodedata
from collections.abc import Iterable

# Letters and digits of all scripts, emoji, and private-use characters.
_WORD = re.compile(r"(?:[^\W_]|[\U0001F000-\U0010FFFF])+")
_PART = re.compile(r'"([^"]*)"?|([^\s"]+)')
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")

# PostgreSQL's limits: https://www.postgresql.org/docs/current/textsearch-limitations.html
_WORD_LETTERS = 500
_LAST_POSITION = 16383
_POSITIONS = 255
# A vector has at most 1 MiB, so of a longer text only the beginning is indexed.
_BYTES = 512 * 1024


def split(text: str) -> list[str]:
    """Return the words of a text, in order."""
    text = text.lower()
    if not text.isascii():
        text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    return [word[:_WORD_LETTERS] for word in _WORD.findall(text)]


def vector(text: str, sender_id: int, recipient_id: int) -> str:
    """Return the ``tsvector`` of a message: its words with their positions, and its two mailboxes."""
    places: dict[str, list[int]] = {}
    size = 0
    for place, word in enumerate(split(text), 1):
        found = places.setdefault(word, [])
        if len(found) < _POSITIONS:
            found.append(min(place, _LAST_POSITION))
            size += 12 if len(found) > 1 else 12 + 4 * len(word)
        if size > _BYTES:
            break
    lexemes = [f"'{word}':{','.join(map(str, found))}" for word, found in places.items()]
    return " ".join([*lexemes, f"'@s{sender_id}'", f"'@r{recipient_id}'"])


def query(words: str, mailbox_id: int, peer_id: int | None) -> str | None:
    """Return the ``tsquery`` for messages of a mailbox; None if *words* has no word.

    Args:
        words: words and "quoted phrases", all of which must match.
        mailbox_id: the mailbox that sent or got the messages.
        peer_id: the other mailbox, or None for any.
    """
    parts = phrases(words)
    if not parts:
        return None
    own = f"@s{mailbox_id}", f"@r{mailbox_id}"
    if peer_id is None:
        parts.append(f"('{own[0]}' | '{own[1]}')")
    else:
        parts.append(f"('{own[0]}' & '@r{peer_id}' | '{own[1]}' & '@s{peer_id}')")
    return " & ".join(parts)


def phrases(words: str) -> list[str]:
    """Return the parts of a ``tsquery`` for words and "quoted phrases"."""
    parts = [_phrase(split(phrase or word)) for phrase, word in _PART.findall(words)]
    return [part for part in parts if part]


def _phrase(words: Iterable[str]) -> str:
    phrase = " <-> ".join(f"'{word}'" for word in words)
    return f"({phrase})" if phrase else ""
