"""JSON for the fast path: the C scanner and encoder, without the ``json`` package around them.

``import json`` costs 7 ms, more than everything else that a hook does; its C parts cost 0.2 ms.
Where they are missing (other interpreters than CPython) the ``json`` package is used.
"""

try:
    from _json import encode_basestring, make_encoder, make_scanner
except ImportError:  # an interpreter without the C accelerator
    make_scanner = None  # type: ignore[assignment,misc]

_WHITESPACE = " \t\r\n"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def _refuse_constant(name: str) -> object:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _refuse_value(value: object) -> object:
    message = f"{type(value).__name__} is not JSON"
    raise TypeError(message)


def _loads_by_package(text: str) -> object:
    import json

    return json.loads(text, parse_constant=_refuse_constant)


if make_scanner is not None:

    class _Rules:
        """The attributes that the C scanner reads: plain JSON, nothing converted."""

        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = staticmethod(_refuse_constant)

    _scan = make_scanner(_Rules())  # type: ignore[arg-type]  # it only reads attributes
    _iterencode = make_encoder(
        None, _refuse_value, encode_basestring, None, ":", ",", False, False, False
    )

    def _loads(text: str) -> object:
        text = text.strip(_WHITESPACE)
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            message = "there is no JSON value"
            raise ValueError(message) from None
        except SystemError:
            # The scanner raises an exception of the `json` package, and fails like this when
            # that is not imported. The package then reports what is wrong.
            return _loads_by_package(text)
        if end != len(text):
            message = f"there is more text after the JSON value, at character {end}"
            raise ValueError(message)
        return value

    def _dumps(value: object) -> str:
        return "".join(_iterencode(value, 0))

else:
    _loads = _loads_by_package

    def _dumps(value: object) -> str:
        import json

        return json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_refuse_value
        )


def is_utf_16(start: bytes) -> bool:
    """Return whether text that begins with these two bytes is UTF-16 with a byte order mark.

    That is what PowerShell gives a program on its standard input.
    """
    return start[:2] in _UTF_16_MARKS


def decode_text(data: bytes) -> str:
    """Return UTF-8, with or without a byte order mark, or UTF-16 with one, as text.

    Raises:
        UnicodeDecodeError: if it is neither.
    """
    return data.decode("utf-16") if is_utf_16(data) else data.decode().removeprefix("\ufeff")


def decode(data: bytes) -> object:
    """Return the value of one JSON document; see `decode_text` for the encodings.

    Raises:
        ValueError: if it is not such text, not JSON, nested too deeply, or followed by more text.
    """
    text = decode_text(data)
    try:
        return _loads(text)
    except RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message) from None


def encode(value: object) -> str:
    """Return the value as compact JSON; characters beyond ASCII are not escaped.

    Raises:
        TypeError, ValueError: if the value has no JSON form.
    """
    return _dumps(value)
