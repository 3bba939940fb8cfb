"""Mail as text for a terminal or a model. No body can pass for one of our own lines."""

# Characters that move the cursor, start an escape sequence, break a line or reverse the direction
# of the text. Other people write message bodies, so these characters are shown as escapes.
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 9},
    **{
        code: f"\\u{code:04x}"
        for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    },
}
_BODY_ESCAPES = {code: escape for code, escape in _ESCAPES.items() if code != 10}


def visible(text: str) -> str:
    """Return *text* on one line, with control characters as escapes such as ``\\x1b``; tabs stay."""
    return text if text.isprintable() else text.translate(_ESCAPES)


def indented(body: str) -> str:
    """Return a body with control characters as escapes, all lines but the first indented."""
    if body.isprintable():
        return body
    return body.replace("\r\n", "\n").translate(_BODY_ESCAPES).replace("\n", "\n  ")


def mail_line(sender: str, body: str, attempts: int) -> str:
    """Return a message as ``watch`` and ``check`` print it, without the final line feed."""
    mark = " (redelivered)" if attempts > 1 else ""
    return f"[Claude-Mailbox] Mail from {visible(sender)}{mark}: {indented(body)}"


def rename_line(new_name: str) -> str:
    """Return what ``watch`` prints when the mailbox is renamed, without the final line feed."""
    return f"[Claude-Mailbox] Mailbox renamed to '{visible(new_name)}'"
