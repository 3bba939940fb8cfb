"""What one check of ``doctor`` found."""

from dataclasses import dataclass

OK, PROBLEM, NOTE = "ok", "problem", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: name of what was checked.
        state: ``ok``, ``problem``, or ``note`` for what is good to know.
        detail: what was found.
        remedy: what to do about a problem.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""
