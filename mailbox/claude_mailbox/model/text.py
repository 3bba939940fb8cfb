"""Text of others as people and models may see it: what is not seen, or misleads, is an escape."""

# They choose between the two forms of a character such as a heart: plain text and emoji.
_SELECTORS = ("\ufe0e", "\ufe0f")
# Every character below the first selector that is shown as an escape is not printable to Python.
_FIRST_SELECTOR = "\ufe00"
# Claude Code puts what it tells the model between tags of this name.
_TAG = "system-reminder"


def visible(text: str) -> str:
    """Return *text* on one line, with control characters as escapes such as ``\\x1b``; tabs stay."""
    if _is_plain(text):
        return text
    from claude_mailbox.model.escapes import LINE

    return _show(text, LINE)


def visible_lines(text: str) -> str:
    """Return *text* with control characters as escapes; tabs and line feeds stay."""
    if _is_plain(text.replace("\n", " ")):
        return text
    from claude_mailbox.model.escapes import LINES

    return _show(text, LINES)


def visible_in_json(text: str) -> str:
    """Return *text* with those control characters as escapes that JSON leaves as they are."""
    if _is_plain(text):
        return text
    from claude_mailbox.model.escapes import JSON

    return _show(text, JSON)


def _is_plain(text: str) -> bool:
    if not text.isprintable() or not (text.isascii() or max(text) < _FIRST_SELECTOR):
        return False
    return _TAG not in text.lower()


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
