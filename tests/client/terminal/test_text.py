"""Mail as text: no body can pass for one of our own lines."""

import shlex
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.terminal.text import mail_line, quoted, rename_line, shell_word
from claude_mailbox.model.text import visible


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


class TestNames:
    @given(st.text())
    def test_a_name_stays_between_its_quotes(self, name: str) -> None:
        """It cannot go on with words of ours."""
        shown = quoted(name)
        assert (shown[0], shown[-1], shown.count('"')) == ('"', '"', 2)

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
    def test_a_name_is_one_word_for_a_shell(self, name: str) -> None:
        """Whatever older versions let it have."""
        assert shlex.split(shell_word(name)) == [visible(name)]

    def test_a_shell_runs_nothing_of_a_name(self) -> None:
        """A real one, on the worst of names."""
        name = "bob;touch x # $(id) `id` \"' \\ *"
        done = subprocess.run(
            ["/bin/sh", "-c", f"printf %s {shell_word(name)}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == name

    def test_a_plain_name_is_not_quoted(self) -> None:
        """It would only be harder to read."""
        assert shell_word("shop-a3f91b2c") == "shop-a3f91b2c"

    def test_a_name_stays_on_its_line(self) -> None:
        """A line feed in a name becomes an escape."""
        assert rename_line("a\nb") == "[Claude-Mailbox] Mailbox renamed to 'a\\x0ab'"
