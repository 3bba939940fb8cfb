"""The encoding of standard input: UTF-8, or what PowerShell sends instead."""

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def is_utf_16(start: bytes) -> bool:
    """Return whether text that begins with these two bytes is UTF-16 with a byte order mark."""
    return start[:2] in _UTF_16_MARKS


def decode(data: bytes) -> str:
    """Return UTF-8, with or without a byte order mark, or UTF-16 with one, as text.

    Raises:
        UnicodeDecodeError: if it is neither.
    """
    return data.decode("utf-16") if is_utf_16(data) else data.decode().removeprefix("\ufeff")
