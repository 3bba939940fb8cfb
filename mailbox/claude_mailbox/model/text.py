"""Text of others as people and models may see it: what is not seen, or misleads, is an escape."""

# Characters that move the cursor, start an escape sequence, break a line, reverse the direction of
# the text or are not seen at all. Other people write message bodies, so these are shown as escapes.
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 9},
    **{
        code: f"\\u{code:04x}"
        for code in (
            0x061C,
            *range(0x200B, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
            *range(0xFE00, 0xFE0E),
            0xFEFF,
        )
    },
    **{code: f"\\U{code:08x}" for code in (*range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0))},
}
_BODY_ESCAPES = {code: escape for code, escape in _ESCAPES.items() if code != 10}
# JSON shows the first of them as escapes by itself.
_JSON_ESCAPES = {code: escape for code, escape in _ESCAPES.items() if code >= 0x7F}
# They choose between the two forms of a character such as a heart: plain text and emoji.
_SELECTORS = ("\ufe0e", "\ufe0f")
# Claude Code puts what it tells the model between tags of this name.
_TAG = "system-reminder"


def visible(text: str) -> str:
    """Return *text* on one line, with control characters as escapes such as ``\\x1b``; tabs stay."""
    return text if _is_plain(text) else _show(text, _ESCAPES)


def visible_lines(text: str) -> str:
    """Return *text* with control characters as escapes; tabs and line feeds stay."""
    return text if _is_plain(text) else _show(text, _BODY_ESCAPES)


def visible_in_json(text: str) -> str:
    """Return *text* with those control characters as escapes that JSON leaves as they are."""
    return text if _is_plain(text) else _show(text, _JSON_ESCAPES)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and _TAG not in text.lower()


def _show(text: str, escapes: "dict[int, str]") -> str:
    shown = text.translate(escapes)
    for selector in _SELECTORS:
        if selector in shown:
            shown = _show_selector(shown, selector)
    if _TAG in shown.lower():
        first, *rest = shown.split("<")
        shown = first + "".join([_after_bracket(part) for part in rest])
    return shown


def _show_selector(text: str, selector: str) -> str:
    """Show a selector as an escape, but not behind what it can choose a form for."""
    before, *rest = text.split(selector)
    shown = [before]
    for part in rest:
        last = before[-1:]
        has_forms = last > "\u2010" and not last.isalnum() and last not in _SELECTORS
        is_used = has_forms or (last != "" and last in "#*0123456789\u00a9\u00ae\u2139\u24c2")
        shown.append(selector if is_used else f"\\u{ord(selector):04x}")
        shown.append(part)
        before = part
    return "".join(shown)


def _after_bracket(part: str) -> str:
    is_tag = part[:64].lstrip("/ \t\n").lower().startswith(_TAG)
    return ("\\x3c" if is_tag else "<") + part
