"""Names, bodies, times and tokens: rules that hold for any text and any number."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import example, given
from hypothesis import strategies as st

from claude_mailbox.errors import BadRequest
from claude_mailbox.model.mail import check_body, check_key, parse_token
from claude_mailbox.model.names import NAME_LIMIT, check_name
from claude_mailbox.model.times import iso_time, parse_time
from claude_mailbox.refusals import TooLarge

T = TypeVar("T")


def outcome(check: Callable[..., T], *arguments: object) -> tuple[T | None, str]:
    """Return what a rule answers, and the sentence of its refusal, or ""."""
    try:
        return check(*arguments), ""
    except BadRequest as error:
        return None, str(error)


def has_surrogates(text: str) -> bool:
    """Return whether some of the text is no Unicode."""
    return any("\ud800" <= character <= "\udfff" for character in text)


anything = st.text(st.characters(exclude_categories=()), max_size=200)


@given(anything)
@example("\x1fa\x1f")
@example("\u2028")
@example("a\ud800")
def test_a_name_is_clean_or_refused(text: str) -> None:
    """What passes is short, trimmed, one line, storable, and passes again unchanged."""
    name, refusal = outcome(check_name, text)
    if name is None:
        assert refusal.startswith("'name' ")
        assert refusal.encode()
        assert len(refusal.splitlines()) == 1
        return
    assert 1 <= len(name) <= NAME_LIMIT
    assert name == unicodedata.normalize("NFC", text.strip()) == name.strip()
    assert len(name.splitlines()) == 1
    assert not {unicodedata.category(character) for character in name} & {"Cc", "Cs", "Zl", "Zp"}
    assert name.encode().decode() == name
    assert check_name(name) == name
    assert unicodedata.is_normalized("NFC", name)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Mn"]), min_size=1, max_size=128))
def test_letters_digits_and_signs_make_names(text: str) -> None:
    """No printable text within the limit is refused."""
    name, refusal = outcome(check_name, text)
    # Some letters are longer in normal form.
    assert name == unicodedata.normalize("NFC", text) or "the limit is 128" in refusal


@given(anything, st.integers(1, 100))
def test_a_body_is_what_was_sent_or_refused(text: str, limit: int) -> None:
    """It is never changed, and never longer in bytes than the limit."""
    try:
        body, refusal = outcome(check_body, text, limit)
    except TooLarge:
        assert len(text.encode()) > limit
        return
    assert refusal.encode() or body
    if body is None:
        assert text == "" or has_surrogates(text)
    else:
        assert body == text
        assert 1 <= len(body.encode()) <= limit


@given(anything)
def test_a_key_is_what_was_sent_or_refused(text: str) -> None:
    """It is never changed and can always be stored."""
    key, _ = outcome(check_key, text)
    assert key == (text if 1 <= len(text) <= 200 and not has_surrogates(text) else None)


@given(st.none() | st.integers() | st.floats() | st.binary() | st.lists(st.text()))
def test_what_is_not_a_string_is_refused(value: object) -> None:
    """Other types of JSON are refused with a sentence, by every rule."""
    for check in (check_name, lambda v: check_body(v, 10), check_key):
        got, refusal = outcome(check, value)
        assert got is None
        assert refusal.endswith(".") or (value is None and check is check_key)


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_survives_being_written_and_read(milliseconds: int) -> None:
    """Every moment from 1970 to 9999 is 24 characters that mean that moment."""
    text = iso_time(milliseconds)
    assert text is not None
    assert len(text) == 24
    assert text.endswith("Z")
    parsed = datetime.fromisoformat(text)
    assert parse_time(text, "since") == milliseconds
    assert (parsed - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == milliseconds


@given(st.lists(st.integers(0, 253_402_300_799_999), max_size=20))
def test_times_sort_alike_as_text_and_as_numbers(moments: list[int]) -> None:
    """Clients may compare them as strings."""
    texts = [iso_time(moment) or "" for moment in moments]
    assert sorted(texts) == [iso_time(moment) for moment in sorted(moments)]


@given(anything | st.from_regex(r"\d{1,25}-[0-9a-f]{0,15}", fullmatch=True))
@example("9" * 19 + "-x")
@example("\u0661-x")
def test_a_token_is_parsed_or_is_none_of_ours(text: str) -> None:
    """Whatever a client sends, the number fits into SQLite; what was never ours finds nothing."""
    number, nonce = parse_token(text)
    assert -1 <= number < 2**63
    assert number == -1 or f"{number}-{nonce}".lstrip("0") == text.lstrip("0") or number == 0
