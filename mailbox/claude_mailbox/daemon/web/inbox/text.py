"""Text of messages as HTML: escaped, and with invisible characters made visible."""

import re

from markupsafe import Markup, escape

# Invisible characters, and those that change the direction of text or control a terminal.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)
_WORD = re.compile(r'"([^"]+)"?|([^\s"]+)')


def shown(text: str, words: str | None = None) -> Markup:
    """Return *text* with hidden characters made visible, and with *words* marked."""
    text = text.replace("\r\n", "\n")
    found = [phrase or word for phrase, word in _WORD.findall(words or "")]
    if not found:
        return _escaped(text)
    pattern = "|".join(re.escape(each) for each in sorted(found, key=len, reverse=True))
    pieces, start = [], 0
    for match in re.finditer(pattern, text, re.IGNORECASE):
        pieces.append(_escaped(text[start : match.start()]))
        pieces.append(Markup("<mark>{}</mark>").format(_escaped(match.group())))
        start = match.end()
    pieces.append(_escaped(text[start:]))
    return Markup("").join(pieces)


def _escaped(text: str) -> Markup:
    pieces, start = [], 0
    for match in _HIDDEN.finditer(text):
        pieces.append(escape(text[start : match.start()]))
        code = f"U+{ord(match.group()):04X}"
        pieces.append(Markup('<span class="hidden-character">{}</span>').format(code))
        start = match.end()
    pieces.append(escape(text[start:]))
    return Markup("").join(pieces)
