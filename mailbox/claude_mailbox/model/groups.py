"""Groups of mailboxes, and the rules for their names."""

from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.errors import BadRequest, InvalidName
from claude_mailbox.model.drafts import ALL
from claude_mailbox.model.names import NAME_LIMIT, check_name, check_new_name, control_character

PREFIX = "@"
DESCRIPTION_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Group:
    """A group.

    Attributes:
        name: begins with ``@``.
        kind: ``joined``, or ``project`` or ``all``, which nobody joins.
        members: names of mailboxes.
    """

    name: str
    kind: str
    members: Sequence[str]


@dataclass(frozen=True, slots=True)
class ProjectSession:
    """A session that has not ended, and its project.

    Attributes:
        mailbox: name of its mailbox.
        project: name of its project, or None.
        active_at: when it was last active, in milliseconds since the epoch.
        clients: keys of the client processes that run it.
    """

    mailbox: str
    project: str | None
    active_at: int
    clients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mailbox that may be meant by another name, and the project of its session, or None."""

    name: str
    project: str | None


def is_group(name: str) -> bool:
    """Return whether *name* is the name of a group."""
    return name.startswith(PREFIX)


def check_group(value: object, what: str = "group") -> str:
    """Return *value* as the name of a group.

    Raises:
        InvalidName: if it cannot be one; *what* names the field in the sentence.
    """
    name = check_name(value, what)
    if not is_group(name):
        raise InvalidName(
            f"'{what}' must be the name of a group, such as @{name[: NAME_LIMIT - 1]}."
        )
    if len(name) == 1:
        raise InvalidName(f"'{what}' has nothing after the @: give the group a name.")
    if name != ALL:
        check_new_name(name.removeprefix(PREFIX))
    return name


def check_description(value: object) -> str | None:
    """Return the description of a mailbox, or None for an empty text.

    Raises:
        BadRequest: if it is too long, or not one line of text.
    """
    if not isinstance(value, str) or len(text := value.strip()) > DESCRIPTION_LIMIT:
        raise BadRequest(f"'text' must be a string of at most {DESCRIPTION_LIMIT} characters.")
    if control_character(text) is not None:
        raise BadRequest("'text' must be one line without control characters.")
    return text or None
