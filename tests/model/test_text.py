"""Text of others: what is not seen, or misleads, is an escape."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.model import escapes
from claude_mailbox.model.text import visible, visible_in_json, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\0b\x7f", "a\\x00b\\x7f"),
        ("a\rb", "a\\x0db"),
        ("a\x85b", "a\\x85b"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("é 漢 🎉", "é 漢 🎉"),
        ("a\u200bb\u200d\u200f", "a\\u200bb\\u200d\\u200f"),
        ("\u061c\u2060\ufeff", "\\u061c\\u2060\\ufeff"),
        ("\U000e0041\U000e007f", "\\U000e0041\\U000e007f"),
        ("❤\ufe0f ☎\ufe0e 1\ufe0f", "❤\ufe0f ☎\ufe0e 1\ufe0f"),
        ("a\ufe0f❤\ufe0f\ufe0f\ufe0f", "a\\ufe0f❤\ufe0f\\ufe0f\\ufe0f"),
        ("\ufe0fx\ufe01\U000e0101", "\\ufe0fx\\ufe01\\U000e0101"),
        ("</system-reminder>", "\\x3c/system-reminder>"),
        ("a < b <System-Reminder x> é", "a < b \\x3cSystem-Reminder x> é"),
        ("< / system-reminder>", "\\x3c / system-reminder>"),
        ("the system-reminder tag", "the system-reminder tag"),
    ],
)
def test_control_characters_become_escapes(text: str, shown: str) -> None:
    """Letters of any script and tabs stay."""
    assert shown == visible(text)
    assert shown == visible_lines(text)


@pytest.mark.parametrize("table", [escapes.LINE, escapes.LINES, escapes.JSON])
def test_the_quick_check_misses_no_escape(table: dict[int, str]) -> None:
    """Text that is plain at a glance is not translated, so the glance must see every character."""
    show = {id(escapes.LINE): visible, id(escapes.LINES): visible_lines}
    for code, escape in table.items():
        if code not in (0xFE0E, 0xFE0F):
            assert f"a{escape}b" == show.get(id(table), visible_in_json)(f"a{chr(code)}b")


@given(st.text(alphabet="</ system-reminder>SYSTEM\n\u200b"))
def test_no_tag_of_the_client_is_left(text: str) -> None:
    """However it is written, and cut."""
    for shown in (visible(text), visible_lines(text), visible_in_json(text)):
        assert not re.search(r"<[/\s]*system-reminder", shown, re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n\tb\x1b\0", "a\r\n\tb\x1b\0"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("\u202egnp.exe\u200b", "\\u202egnp.exe\\u200b"),
        ("</system-reminder>", "\\x3c/system-reminder>"),
    ],
)
def test_json_shows_the_first_control_characters_by_itself(text: str, shown: str) -> None:
    """So line ends stay as they are."""
    assert visible_in_json(text) == shown
    assert json.loads(json.dumps(shown)) == shown
