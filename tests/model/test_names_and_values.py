"""The rules for names, bodies, keys and times: the cases that people meet."""

import re

import pytest

from claude_mailbox.errors import BadRequest, InvalidName
from claude_mailbox.model.mail import check_body, check_key
from claude_mailbox.model.names import check_name, check_new_name
from claude_mailbox.model.times import iso_time
from claude_mailbox.refusals import TooLarge


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["a", "claude-mailbox-a3f91b2c", "Zoë", "邮箱", "a b", "a/b", "x" * 128, "🙂", "a;b"],
    )
    def test_good_ones_stay_as_they_are(self, name: str) -> None:
        """Mailboxes of older versions may have any printable text as their name."""
        assert check_name(name) == name

    def test_come_in_normal_form(self) -> None:
        """An accent may come apart from its letter."""
        assert check_name("e\u0301") == "\u00e9"

    def test_are_trimmed(self) -> None:
        """Space around a name is nobody's intention."""
        assert check_name(" \t a b\r\n") == "a b"
        assert check_name("\u00a0a\u3000") == "a"

    def test_the_limit_counts_after_trimming(self) -> None:
        """128 characters, not bytes."""
        assert check_name(" " + "é" * 128 + " ") == "é" * 128
        with pytest.raises(InvalidName, match="'to' has 129 characters; the limit is 128"):
            check_name("é" * 129, "to")

    @pytest.mark.parametrize("value", ["", " ", "\n\t", "\u2003"])
    def test_an_empty_name_is_refused(self, value: str) -> None:
        """Nothing is no name."""
        with pytest.raises(InvalidName, match="'name' is missing or empty"):
            check_name(value)

    @pytest.mark.parametrize("value", [None, 1, True, ["a"], {"a": 1}, b"a"])
    def test_a_name_that_is_not_text_is_refused(self, value: object) -> None:
        """JSON has other types."""
        with pytest.raises(InvalidName, match="must be a string"):
            check_name(value)

    @pytest.mark.parametrize(
        "character",
        [
            "\x00",
            "\n",
            "\r",
            "\x1b",
            "\x7f",
            "\x85",
            "\u2028",
            "\u2029",
            "\ud800",
            "\u202e",
            "\u2066",
        ],
    )
    def test_characters_that_break_out_of_a_line(self, character: str) -> None:
        """Controls, separators, lone surrogates and direction marks are named by their number."""
        with pytest.raises(InvalidName, match=rf"'name' has .* U\+{ord(character):04X}"):
            check_name(f"a{character}b")


class TestNewNames:
    @pytest.mark.parametrize(
        "name",
        [
            "a",
            "1",
            "shop-a3f91b2c",
            "a b",
            "a/b",
            "a@b",
            "a.b_c-d+e:f",
            "Zoë",
            "邮箱",
            "हिन्दी",
            "١٢",
        ],
    )
    def test_may_have_letters_and_digits_of_every_script(self, name: str) -> None:
        """And a few characters that mean nothing to a shell, a quote or a tag."""
        check_new_name(check_name(name))

    @pytest.mark.parametrize(
        "character", "\"'`$&;|<>()[]{}*?!#~^%=,\\\t🙂™\u2019\u200b\u2060\u3164\u00a0\ufe0f"
    )
    def test_other_characters_are_refused(self, character: str) -> None:
        """The sentence names the character."""
        shown = (
            character if character.isascii() and character != "\t" else f"U+{ord(character):04X}"
        )
        with pytest.raises(InvalidName, match=re.escape(f"{shown} is not allowed")):
            check_new_name(f"a{character}b")

    @pytest.mark.parametrize("name", ["@group", "-rf", "--to", "\u0301a"])
    def test_begin_with_a_letter_or_digit(self, name: str) -> None:
        """``@`` is for groups, and a dash for options."""
        with pytest.raises(InvalidName, match="begin with"):
            check_new_name(name)

    @pytest.mark.parametrize(
        "name",
        [
            "User",
            "ALL",
            "claude-mailbox",
            "Claude-Mailbox daemon",
            "claude-mailbox-1",
            "\uff55\uff53\uff45\uff52",
        ],
    )
    def test_do_not_belong_to_the_daemon(self, name: str) -> None:
        """Nobody can speak in its name, or in the user's."""
        with pytest.raises(InvalidName, match="belongs to the daemon"):
            check_new_name(name)


class TestBodies:
    @pytest.mark.parametrize("body", [" ", "\x00", "a\r\nb", "\x1b[31m", "🙂", "\ufffe"])
    def test_stay_as_they_are(self, body: str) -> None:
        """A body is the sender's own; nothing is trimmed or replaced."""
        assert check_body(body, 10) == body

    def test_the_limit_counts_bytes(self) -> None:
        """The limit itself is allowed, one byte more is not."""
        assert check_body("é" * 5, 10) == "é" * 5
        with pytest.raises(TooLarge, match="has 11 bytes; the limit is 10"):
            check_body("é" * 5 + "a", 10)

    @pytest.mark.parametrize("value", [None, 1, "", [], {"a": 1}])
    def test_a_body_that_is_empty_or_not_text_is_refused(self, value: object) -> None:
        """The sentence names the field."""
        with pytest.raises(BadRequest, match="'body'"):
            check_body(value, 10)

    def test_a_body_with_half_a_surrogate_pair_is_refused(self) -> None:
        """What has no UTF-8 cannot be stored; the place is named."""
        with pytest.raises(BadRequest, match="surrogate pair at character 3"):
            check_body("abc\udc80", 100)


class TestKeys:
    def test_a_key_may_be_missing(self) -> None:
        """Keys are optional."""
        assert check_key(None) is None

    @pytest.mark.parametrize("key", ["k", "k" * 200, "\x00", " "])
    def test_valid_keys_are_kept(self, key: str) -> None:
        """Any text up to the limit."""
        assert check_key(key) == key

    @pytest.mark.parametrize("key", ["", "k" * 201, 5, ["k"], False, "\ud800"])
    def test_malformed_keys_are_refused(self, key: object) -> None:
        """The sentence names the field."""
        with pytest.raises(BadRequest, match="'idempotencyKey'"):
            check_key(key)


class TestTimes:
    def test_times_are_iso_8601_in_utc(self) -> None:
        """UTC, always three digits of milliseconds, ends in Z."""
        assert iso_time(0) == "1970-01-01T00:00:00.000Z"
        assert iso_time(1_700_000_000_005) == "2023-11-14T22:13:20.005Z"
        assert iso_time(-1) == "1969-12-31T23:59:59.999Z"

    @pytest.mark.parametrize("milliseconds", [10**18, -(10**18), 253_402_300_800_000])
    def test_have_four_digits_for_the_year(self, milliseconds: int) -> None:
        """However the clock is set."""
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", iso_time(milliseconds) or "")

    def test_no_time_is_null(self) -> None:
        """None stays None."""
        assert iso_time(None) is None
