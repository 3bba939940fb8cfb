"""Mail as text: no body can pass for one of our own lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.text import indented, mail_line, rename_line, visible


class TestMailLine:
    def test_has_the_sender_and_the_body(self) -> None:
        """Scripts rely on this form."""
        assert mail_line("bob", "hello", 1) == "[Claude-Mailbox] Mail from bob: hello"

    def test_says_that_a_message_is_redelivered(self) -> None:
        """A second attempt is marked."""
        assert mail_line("bob", "x", 2) == "[Claude-Mailbox] Mail from bob (redelivered): x"

    def test_indents_all_lines_but_the_first(self) -> None:
        """By two blanks, also empty lines, and lines that end with CR LF."""
        assert (
            mail_line("bob", "a\r\nb\n\nc", 1) == "[Claude-Mailbox] Mail from bob: a\n  b\n  \n  c"
        )

    @given(st.text(), st.text())
    def test_a_body_cannot_start_a_line_of_ours(self, sender: str, body: str) -> None:
        """Whatever the text, further lines are indented and no control character is left."""
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
    def test_control_characters_become_escapes(self, text: str, shown: str) -> None:
        """Letters of any script and tabs stay."""
        assert shown == visible(text)
        assert shown == indented(text)

    def test_a_name_stays_on_its_line(self) -> None:
        """A line feed in a name becomes an escape."""
        assert rename_line("a\nb") == "[Claude-Mailbox] Mailbox renamed to 'a\\x0ab'"
