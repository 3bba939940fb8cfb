"""Mail as text: one line of ours, and nothing in a body that could pass for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.text import indented, mail_line, rename_line, visible


class TestMailLine:
    def test_is_what_the_contract_says(self) -> None:
        """Sender and body on one line."""
        assert mail_line("bob", "hello", 1) == "[Claude-Mailbox] Mail from bob: hello"

    def test_marks_a_redelivery(self) -> None:
        """What was handed out before says so."""
        assert mail_line("bob", "x", 2) == "[Claude-Mailbox] Mail from bob (redelivered): x"

    def test_indents_further_lines(self) -> None:
        """Two blanks, also before an empty line and after CR LF."""
        assert (
            mail_line("bob", "a\r\nb\n\nc", 1) == "[Claude-Mailbox] Mail from bob: a\n  b\n  \n  c"
        )

    @given(st.text(), st.text())
    def test_no_line_but_the_first_starts_like_ours(self, sender: str, body: str) -> None:
        """Whatever the body: it cannot fake a line of ours, nor move the cursor."""
        first, *rest = mail_line(sender, body, 1).split("\n")
        assert first.startswith("[Claude-Mailbox] Mail from ")
        assert all(line.startswith("  ") for line in rest)
        for line in (first, *rest):
            assert [line] == line.splitlines()
            assert not any(c < " " and c != "\t" for c in line)


class TestVisible:
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
        ],
    )
    def test_shows_control_characters(self, text: str, shown: str) -> None:
        """They are shown and not obeyed; letters of any script stay."""
        assert shown == visible(text)
        assert shown == indented(text)

    def test_names_stay_on_their_line(self) -> None:
        """A name has no line feed, and would not get one through."""
        assert rename_line("a\nb") == "[Claude-Mailbox] Mailbox renamed to 'a\\x0ab'"
