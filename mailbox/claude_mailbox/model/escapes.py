"""Tables of the characters that are shown as escapes, for ``str.translate``.

They move the cursor, start an escape sequence, break a line, reverse the direction of the text or
are not seen at all, and other people write message bodies. Building the tables takes a millisecond,
which `claude_mailbox.model.text` spends only on a text that may need them.
"""

# For a text on one line.
LINE = {
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
# For a text of several lines.
LINES = {code: escape for code, escape in LINE.items() if code != 10}
# For a string in JSON, which shows the first of them as escapes by itself.
JSON = {code: escape for code, escape in LINE.items() if code >= 0x7F}
