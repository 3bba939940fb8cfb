"""JSON for the fast path."""

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
    def test_reads_what_json_writes(self, value: object) -> None:
        """Every JSON value comes out as the package of the standard library reads it."""
        assert value == codec.decode(json.dumps(value).encode())
        assert value == codec.decode(json.dumps(value, ensure_ascii=False, indent=1).encode())

    def test_blanks_and_a_byte_order_mark_may_surround_it(self) -> None:
        """Files from editors are read."""
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
    def test_refuses_everything_else(self, data: bytes) -> None:
        """What is no JSON document in UTF-8 is a ValueError, also where `json` is not loaded."""
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
    def test_writes_what_json_reads(self, value: object) -> None:
        """Every JSON value survives the way there and back."""
        assert value == json.loads(codec.encode(value))

    def test_is_compact_and_keeps_text_as_it_is(self) -> None:
        """No blanks between tokens, no escapes that need not be."""
        assert codec.encode({"a": [1, "é\n"]}) == '{"a":[1,"é\\n"]}'

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes"])
    def test_refuses_what_has_no_json_form(self, value: object) -> None:
        """NaN and Python's own types are errors."""
        with pytest.raises((TypeError, ValueError)):
            codec.encode(value)


def test_without_the_c_accelerator_it_is_the_same() -> None:
    """Where `_json` is missing the package stands in."""
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
