"""JSON without the json package."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client import codec

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcé"), inner),
    max_leaves=20,
)


class TestDecode:
    @given(VALUES)
    def test_decodes_what_the_json_package_writes(self, value: object) -> None:
        """Every JSON value, compact or indented, ASCII or not."""
        assert value == codec.decode(json.dumps(value).encode())
        assert value == codec.decode(json.dumps(value, ensure_ascii=False, indent=1).encode())

    def test_accepts_white_space_and_a_byte_order_mark(self) -> None:
        """Editors write them."""
        assert codec.decode(b'\xef\xbb\xbf \r\n{"a": 1}\t\n') == {"a": 1}

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"  \n",
            b"{",
            b'{"a":}',
            b"[1,]",
            b"1 2",
            b'"line\nfeed"',
            b"NaN",
            b"[-Infinity]",
            b"\xff\xfe",
            b"nope",
            b"[" * 100_000,
        ],
    )
    def test_everything_else_is_a_value_error(self, data: bytes) -> None:
        """Also if the json package, whose exception the C scanner raises, is not imported."""
        with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
            codec.decode(data)
        script = (
            "import sys\n"
            "for name in [n for n in sys.modules if n.partition('.')[0] == 'json']:\n"
            "    del sys.modules[name]\n"
            "from claude_mailbox.client import codec\n"
            "try: codec.decode(sys.stdin.buffer.read())\n"
            "except ValueError: sys.exit(0)\n"
            "sys.exit(1)"
        )
        if len(data) < 10:
            subprocess.run([sys.executable, "-c", script], input=data, check=True)


class TestEncode:
    @given(VALUES)
    def test_encodes_what_the_json_package_reads(self, value: object) -> None:
        """Every JSON value is the same after encoding and decoding."""
        assert value == json.loads(codec.encode(value))

    def test_is_compact_and_does_not_escape_letters(self) -> None:
        """There is no white space between tokens, and only control characters are escaped."""
        assert codec.encode({"a": [1, "é\n"]}) == '{"a":[1,"é\\n"]}'

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes"])
    def test_values_without_a_json_form_are_errors(self, value: object) -> None:
        """NaN and infinity are no JSON, nor are types that only Python has."""
        with pytest.raises((TypeError, ValueError)):
            codec.encode(value)


def test_without_the_c_accelerator_the_json_package_is_used() -> None:
    """With the same results and errors."""
    script = """
import sys
sys.modules["_json"] = None
from claude_mailbox.client import codec
assert codec.make_scanner is None
assert codec.decode(b'\\xef\\xbb\\xbf {"a": [1, null]}') == {"a": [1, None]}
assert codec.encode({"a": "\\u00e9"}) == '{"a":"\\u00e9"}'
for data in (b"", b"NaN", b"1 2"):
    try:
        codec.decode(data)
    except ValueError:
        continue
    sys.exit(1)
try:
    codec.encode({1})
except TypeError:
    sys.exit(0)
sys.exit(2)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
