"""Editing a JSON document as text: the rest of it stays byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.settings import json_edit

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
    def test_accepts_what_the_json_package_accepts(
        self, value: object, indent: int | str | None
    ) -> None:
        """The value is the same, and the root spans the document."""
        text = f" \r\n{json.dumps(value, indent=indent)}\n"
        root = json_edit.parse(text)
        assert root.value == value
        assert json.loads(text[root.start : root.end]) == value

    @given(st.text(alphabet='{}[]":,0a\\ \n', max_size=12))
    def test_refuses_what_the_json_package_refuses(self, text: str) -> None:
        """And also a key that is repeated."""
        try:
            expected = json.loads(text, object_pairs_hook=_unique)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                json_edit.parse(text)
        else:
            assert json_edit.parse(text).value == expected

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('{\n  "a": 1,\n}', "line 3, column 1"),
            ('{"a" 1}', "line 1, column 6: ':'"),
            ('{"a": 1 "b": 2}', "line 1, column 9"),
            ('{"a": 1, "a": 2}', "'a' is repeated"),
            ("{} {}", "line 1, column 4"),
            ('{"a": tru}', "line 1, column 7"),
            ('{"a": "\n"}', "line 1, column 8"),
            ("{", "too early"),
            ("", "too early"),
            ("[" * 100_000, "too deeply"),
            ("[NaN]", "NaN"),
        ],
    )
    def test_says_where_the_document_is_broken(self, text: str, place: str) -> None:
        """By line and column, if there is a place to name."""
        with pytest.raises(ValueError, match=r".") as caught:
            json_edit.parse(text)
        assert place in str(caught.value)


class TestEdit:
    @given(st.dictionaries(keys, values, max_size=4), values, layouts)
    def test_removing_an_added_member_restores_the_text(
        self, value: dict[str, object], new: object, indent: int | str | None
    ) -> None:
        """All other members are there in between."""
        text = json.dumps(value, indent=indent)
        longer = json_edit.add_member(text, json_edit.parse(text), "a new key", new)
        assert json.loads(longer) == {**value, "a new key": new}
        root = json_edit.parse(longer)
        back = json_edit.remove(longer, root, root.keys.index("a new key"))
        assert back == text or (not value and json.loads(back) == {})

    @given(st.lists(values, max_size=4), values, layouts)
    def test_removing_an_added_item_restores_the_text(
        self, value: list[object], new: object, indent: int | str | None
    ) -> None:
        """All other items are there in between."""
        text = json.dumps(value, indent=indent)
        longer = json_edit.add_item(text, json_edit.parse(text), new)
        assert json.loads(longer) == [*value, new]
        back = json_edit.remove(longer, json_edit.parse(longer), len(value))
        assert back == text or (not value and json.loads(back) == [])

    @given(st.lists(values, min_size=1, max_size=5), st.data(), layouts)
    def test_any_item_can_be_removed(
        self, value: list[object], data: st.DataObject, indent: int | str | None
    ) -> None:
        """The first, the last, or one between."""
        index = data.draw(st.integers(0, len(value) - 1))
        text = json.dumps(value, indent=indent)
        shorter = json_edit.remove(text, json_edit.parse(text), index)
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
    def test_a_new_member_is_laid_out_like_its_neighbors(self, text: str, longer: str) -> None:
        """With the indentation and the line ends of the document."""
        assert json_edit.add_member(text, json_edit.parse(text), "k", [1]) == longer


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found
