"""Changing a JSON document as text: what is not meant stays byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.settings import json_text

keys = st.text(max_size=5)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
layouts = st.sampled_from([None, 2, 4, "\t", 0])


class TestParse:
    @given(values, layouts)
    def test_understands_what_json_does(self, value: object, indent: int | str | None) -> None:
        """The value is the same, and the root is where the document is."""
        text = f" \r\n{json.dumps(value, indent=indent)}\n"
        root = json_text.parse(text)
        assert root.value == value
        assert json.loads(text[root.start : root.end]) == value

    @given(st.text(alphabet='{}[]":,0a\\ \n', max_size=12))
    def test_refuses_what_json_does(self, text: str) -> None:
        """Nothing broken passes, and a key that is there twice does not either."""
        try:
            expected = json.loads(text, object_pairs_hook=_unique)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                json_text.parse(text)
        else:
            assert json_text.parse(text).value == expected

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('{\n  "a": 1,\n}', "line 3, column 1"),
            ('{"a" 1}', "line 1, column 6: ':'"),
            ('{"a": 1 "b": 2}', "line 1, column 9"),
            ('{"a": 1, "a": 2}', "'a' is there again"),
            ("{} {}", "line 1, column 4"),
            ('{"a": tru}', "line 1, column 7"),
            ('{"a": "\n"}', "line 1, column 8"),
            ("{", "too early"),
            ("", "too early"),
            ("[" * 100_000, "too deeply"),
            ("[NaN]", "NaN"),
        ],
    )
    def test_says_where(self, text: str, place: str) -> None:
        """So that a person finds it."""
        with pytest.raises(ValueError, match=r".") as caught:
            json_text.parse(text)
        assert place in str(caught.value)


class TestChange:
    @given(st.dictionaries(keys, values, max_size=4), values, layouts)
    def test_a_member_added_and_removed_leaves_no_trace(
        self, value: dict[str, object], news: object, indent: int | str | None
    ) -> None:
        """What was there before is there again, to the byte, and all of it in between."""
        text = json.dumps(value, indent=indent)
        longer = json_text.add_member(text, json_text.parse(text), "a new key", news)
        assert json.loads(longer) == {**value, "a new key": news}
        root = json_text.parse(longer)
        back = json_text.remove(longer, root, root.keys.index("a new key"))
        assert back == text or (not value and json.loads(back) == {})

    @given(st.lists(values, max_size=4), values, layouts)
    def test_an_item_added_and_removed_leaves_no_trace(
        self, value: list[object], news: object, indent: int | str | None
    ) -> None:
        """So for lists."""
        text = json.dumps(value, indent=indent)
        longer = json_text.add_item(text, json_text.parse(text), news)
        assert json.loads(longer) == [*value, news]
        back = json_text.remove(longer, json_text.parse(longer), len(value))
        assert back == text or (not value and json.loads(back) == [])

    @given(st.lists(values, min_size=1, max_size=5), st.data(), layouts)
    def test_any_item_can_go(
        self, value: list[object], data: st.DataObject, indent: int | str | None
    ) -> None:
        """The first, the last, one between."""
        index = data.draw(st.integers(0, len(value) - 1))
        text = json.dumps(value, indent=indent)
        shorter = json_text.remove(text, json_text.parse(text), index)
        assert json.loads(shorter) == value[:index] + value[index + 1 :]

    @pytest.mark.parametrize(
        ("text", "longer"),
        [
            ("{}", '{\n  "k": [\n    1\n  ]\n}'),
            ('{"a": 1}', '{"a": 1, "k": [1]}'),
            ('{\n    "a": 1\n}\n', '{\n    "a": 1,\n    "k": [\n        1\n    ]\n}\n'),
            ('{\n\t"a": 1\n}', '{\n\t"a": 1,\n\t"k": [\n\t\t1\n\t]\n}'),
            ('{\r\n  "a": 1\r\n}', '{\r\n  "a": 1,\r\n  "k": [\r\n    1\r\n  ]\r\n}'),
        ],
    )
    def test_looks_like_its_neighbors(self, text: str, longer: str) -> None:
        """The document's own indentation and line ends."""
        assert json_text.add_member(text, json_text.parse(text), "k", [1]) == longer


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found
