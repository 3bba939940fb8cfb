"""How mail looks as text: one line of ours, and nothing in a body that could pass for another."""

# Characters that move the cursor, start an escape sequence, break a line or turn its direction
# around. The body of a message is somebody else's text, so these are shown, not obeyed.
_SHOWN = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 9},
    **{
        code: f"\\u{code:04x}"
        for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    },
}
_SHOWN_IN_BODY = {code: shown for code, shown in _SHOWN.items() if code != 10}


def visible(text: str) -> str:
    """Return *text* on one line, with control characters made visible, as ``\\x1b``; tabs stay."""
    return text if text.isprintable() else text.translate(_SHOWN)


def indented(body: str, first: str = "") -> str:
    """Return a body with visible control characters; lines after the first start with two blanks.

    The first line starts with *first*.
    """
    if body.isprintable():
        return first + body
    shown = body.replace("\r\n", "\n").translate(_SHOWN_IN_BODY)
    return first + shown.replace("\n", "\n  ")


def mail_line(sender: str, body: str, attempts: int) -> str:
    """Return a message as ``watch`` and ``check`` print it, without the final line feed."""
    mark = " (redelivered)" if attempts > 1 else ""
    return f"[Claude-Mailbox] Mail from {visible(sender)}{mark}: {indented(body)}"


def rename_line(new: str) -> str:
    """Return the notice that a mailbox has another name now, without the final line feed."""
    return f"[Claude-Mailbox] Mailbox renamed to '{visible(new)}'"
