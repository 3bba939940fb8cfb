"""Which mailboxes a sender may have meant who wrote to a name that nobody has used.

Similar names come first, then mailboxes of the sender's project; among equals, the last used.
"""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.groups import Candidate

LIMIT = 3
# So many of the mailboxes used last are compared, which takes a few milliseconds.
CANDIDATES = 200
# As in difflib.get_close_matches.
_CLOSE = 0.6
# How long suggestions are kept for a sender that writes to the same name again.
_FRESH_MILLISECONDS = 60_000
_CACHE_LIMIT = 1000


def suggest(
    wanted: str, candidates: Iterable[Candidate], sender: str, project: str | None
) -> list[str]:
    """Return at most three names, the best first.

    Args:
        wanted: the name that nobody has used.
        candidates: known mailboxes, last used first.
        sender: is never suggested.
        project: the sender's, or None.
    """
    others = [each for each in candidates if each.name not in (sender, wanted)]
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted.casefold())
    ranked: list[tuple[float, str]] = []
    for each in others:
        closeness = _closeness(matcher, wanted.casefold(), each.name.casefold())
        if closeness >= _CLOSE:
            ranked.append((closeness, each.name))
    ranked.sort(key=lambda pair: -pair[0])
    names = [name for _, name in ranked]
    if project is not None:
        names += [each.name for each in others if each.project == project]
    return _first_different(names)


def _closeness(matcher: SequenceMatcher[str], wanted: str, name: str) -> float:
    """Return how similar two names are, from 0 to 1; 1 if one is a prefix of the other."""
    if wanted.startswith(name) or name.startswith(wanted):
        return 1.0
    matcher.set_seq1(name)
    if matcher.real_quick_ratio() < _CLOSE or matcher.quick_ratio() < _CLOSE:
        return 0.0
    return matcher.ratio()


def _first_different(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))[:LIMIT]


class Suggestions:
    """Finds names for senders, and caches them for a minute."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, Sequence[str]]] = {}

    def names(self, transaction: Transaction, wanted: str, sender: str, now: int) -> Sequence[str]:
        """Return names that *sender* may have meant, within a job of the ledger."""
        known = self._found.get((sender, wanted))
        if known is not None and known[0] > now:
            return known[1]
        candidates = transaction.groups.candidates(CANDIDATES)
        project = next((each.project for each in candidates if each.name == sender), None)
        names = suggest(wanted, candidates, sender, project)
        if len(self._found) == _CACHE_LIMIT:
            self._found.clear()
        self._found[sender, wanted] = now + _FRESH_MILLISECONDS, names
        return names
