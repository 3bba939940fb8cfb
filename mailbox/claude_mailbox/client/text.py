"""Mail as text for a terminal or a model. No body can pass for one of our own lines."""

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
# They choose between the two forms of a character such as a heart: plain text and emoji.
_SELECTORS = ("\ufe0e", "\ufe0f")
# Claude Code puts what it tells the model between tags of this name.
_TAG = "system-reminder"


def visible(text: str) -> str:
    """Return *text* on one line, with control characters as escapes such as ``\\x1b``; tabs stay."""
    return text if _is_plain(text) else _show(text, _ESCAPES)


def indented(body: str) -> str:
    """Return a body with control characters as escapes, all lines but the first indented."""
    if _is_plain(body):
        return body
    return _show(body.replace("\r\n", "\n"), _BODY_ESCAPES).replace("\n", "\n  ")


def quoted(name: str) -> str:
    """Return a name between quotes, on one line, so that it cannot pass for our own words."""
    return '"' + visible(name).replace('"', "\\x22") + '"'


def shell_word(name: str) -> str:
    """Return a name as one word of a shell's command line, whatever is in it."""
    shown = visible(name)
    if shown and all(c.isalnum() or c in "._-+:/@" for c in shown):
        return shown
    return "'" + shown.replace("'", "'\"'\"'") + "'"


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


def mail_line(sender: str, body: str, attempts: int) -> str:
    """Return a message as ``watch`` and ``check`` print it, without the final line feed."""
    mark = " (redelivered)" if attempts > 1 else ""
    return f"[Claude-Mailbox] Mail from {visible(sender)}{mark}: {indented(body)}"


def rename_line(new_name: str) -> str:
    """Return what ``watch`` prints when the mailbox is renamed, without the final line feed."""
    return f"[Claude-Mailbox] Mailbox renamed to '{visible(new_name)}'"
