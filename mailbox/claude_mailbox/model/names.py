"""The rules for names of mailboxes."""

import unicodedata

from claude_mailbox.errors import InvalidName

NAME_LIMIT = 128
# With control characters, lone surrogates, or line or paragraph separators, a name would not stay on
# the line that it is printed on.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Allowed in the name of a new mailbox besides letters and digits: nothing that is special in a shell, a
# quoted string or a tag.
_PUNCTUATION = frozenset(" ._-+:/@")
_FIRST_FORBIDDEN = frozenset("@-")
# Invisible letters and marks, which would make two names look the same.
UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
# The mailbox of the person at this machine, unless the configuration names another.
USER = "user"
_RESERVED_NAMES = frozenset({USER, "all"})
_RESERVED_PREFIX = "claude-mailbox"
# Direction overrides make one name look like another.
_BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def check_name(value: object, what: str = "name") -> str:
    """Return the mailbox name, trimmed and in normal form (NFC).

    A new mailbox needs a stricter name; see `check_new_name`.

    Raises:
        InvalidName: if it is not a string, empty, longer than 128 characters or has control
            characters; *what* names the field in the sentence.
    """
    if not isinstance(value, str):
        raise InvalidName(f"'{what}' must be a string with the name of a mailbox.")
    name = value.strip()
    if not name:
        raise InvalidName(f"'{what}' is missing or empty: give the name of a mailbox.")
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if len(name) > NAME_LIMIT:
        raise InvalidName(f"'{what}' has {len(name)} characters; the limit is {NAME_LIMIT}.")
    character = control_character(name)
    if character is not None:
        raise InvalidName(
            f"'{what}' has the control character U+{ord(character):04X}: leave it out."
        )
    return name


def control_character(text: str) -> str | None:
    """Return the first character that is not allowed in a line of text, or None."""
    if text.isascii() and text.isprintable():
        return None
    return next(
        (
            character
            for character in text
            if character in _BIDI_CONTROLS
            or unicodedata.category(character) in _FORBIDDEN_CATEGORIES
        ),
        None,
    )


def check_new_name(name: str) -> None:
    """Check that a mailbox of that name may be made; older versions allowed other names.

    Raises:
        InvalidName: if it has a character that is not allowed, or belongs to the daemon.
    """
    for character in name:
        if not _may_be_in_name(character):
            raise InvalidName(
                f"A mailbox cannot be named '{name}': {_shown(character)} is not allowed. Use"
                " letters, digits, blanks and . _ - + : / @ only."
            )
    if name[0] in _FIRST_FORBIDDEN or unicodedata.category(name[0]).startswith("M"):
        raise InvalidName(
            f"A mailbox cannot be named '{name}': let the name begin with a letter or digit."
        )
    if is_reserved(name) and name != USER:
        raise InvalidName(f"The name '{name}' belongs to the daemon: choose another one.")


def _may_be_in_name(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _PUNCTUATION
    return character not in UNSEEN and (
        character.isalnum() or unicodedata.category(character).startswith("M")
    )


def _shown(character: str) -> str:
    return character if "!" <= character <= "~" else f"U+{ord(character):04X}"


def is_reserved(name: str) -> bool:
    """Return whether only the daemon may make a mailbox of that name."""
    # Full-width and similar letters count as the plain ones.
    folded = unicodedata.normalize("NFKC", name).casefold()
    return folded in _RESERVED_NAMES or folded.startswith(_RESERVED_PREFIX)
