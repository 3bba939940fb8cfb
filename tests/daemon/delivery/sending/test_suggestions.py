"""Which names are suggested for one that nobody knows."""

from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.daemon.delivery.sending.suggestions import CANDIDATES, LIMIT, suggest
from claude_mailbox.model.groups import Candidate

MAILBOXES = [
    Candidate("web-0c9e61f7", "web"),
    Candidate("shop-frontend-1a2b3c4d", "shop"),
    Candidate("shop-backend-5e6f7a8b", "shop"),
    Candidate("reviewer", None),
]


def suggested(wanted: str, project: str | None = None, sender: str = "me") -> list[str]:
    """Return what is suggested to *sender*."""
    return suggest(wanted, MAILBOXES, sender, project)


def test_a_typing_error_is_close() -> None:
    assert suggested("reveiwer") == ["reviewer"]


def test_capitals_do_not_matter() -> None:
    assert suggested("Reviewer") == ["reviewer"]


def test_a_beginning_is_close() -> None:
    """Models leave out the letters of the session."""
    assert suggested("shop-backend") == ["shop-backend-5e6f7a8b"]


def test_the_senders_project_comes_after_close_names() -> None:
    assert suggested("reviewr", "shop") == [
        "reviewer",
        "shop-frontend-1a2b3c4d",
        "shop-backend-5e6f7a8b",
    ]


def test_without_a_similar_name_nothing_is_suggested() -> None:
    assert suggested("zzz") == []


def test_never_the_sender_nor_the_unknown_name_itself() -> None:
    """The unknown name may have a mailbox already, which nobody has used."""
    assert suggested("reviewer") == []
    assert suggested("reviewe", sender="reviewer") == []


texts = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
candidates = st.lists(st.builds(Candidate, texts, st.sampled_from([None, "a", "b"])), max_size=8)


@given(texts, candidates, texts, st.sampled_from([None, "a", "b"]))
def test_any_names_give_at_most_three_known_ones(
    wanted: str, mailboxes: list[Candidate], sender: str, project: str | None
) -> None:
    """At most three different names of those that there are; of one's project if there is room."""
    names = suggest(wanted, mailboxes, sender, project)
    assert len(names) == len(set(names)) <= LIMIT
    assert set(names) <= {each.name for each in mailboxes} - {wanted, sender}
    if len(names) < LIMIT and project is not None:
        assert {each.name for each in mailboxes if each.project == project} - {
            wanted,
            sender,
        } <= set(names)


def test_many_mailboxes_take_little_time() -> None:
    """It is done on the event loop."""
    mailboxes = [
        Candidate(f"project-{number:08x}-{number:08x}", None) for number in range(CANDIDATES)
    ]
    started = perf_counter()
    suggest("project-0000-0000-000000", mailboxes, "me", None)
    assert perf_counter() - started < 0.25
