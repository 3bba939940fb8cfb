"""Results fit what a client shows to its model: whole messages, and only as many."""

import json
from typing import Any

import pytest

from claude_mailbox.daemon.mcp.clients import CHARACTERS, DEFAULT_CHARACTERS
from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from wire.conftest import Fresh
from wire.mail import Mail

pytestmark = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])


def size(answer: Any) -> int:
    """Return how long a result is in the longest of the units that clients count in."""
    return len(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode())


def take_all(rpc: Rpc, name: str, arguments: dict[str, Any], **options: Any) -> list[Any]:
    """Call ``check_inbox`` until nothing remains, and return the results."""
    answers = []
    while not answers or answers[-1]["remaining"]:
        answers.append(rpc.call("check_inbox", {"name": name, **arguments}, **options))
    return answers


@pytest.mark.parametrize(
    ("client", "limit"),
    [
        (None, DEFAULT_CHARACTERS),
        ("some-client", DEFAULT_CHARACTERS),
        ("codex-mcp-client", DEFAULT_CHARACTERS),
        *CHARACTERS.items(),
    ],
)
@pytest.mark.parametrize("unit", ["x", "\n", '"', "漢", "😀"])
def test_a_client_gets_as_much_as_it_shows(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str, client: str | None, limit: int, unit: str
) -> None:
    """In several results, each nearly full; all messages come, in order, once."""
    name = fresh("me")
    bodies = [f"{number} {unit * 900}" for number in range(80)]
    for body in bodies:
        mail.send("sender", name, body)

    answers = take_all(rpc, name, {}, era=era, client=client)

    assert [each["body"] for answer in answers for each in answer["messages"]] == bodies
    assert all(limit * 0.5 < size(answer) <= limit for answer in answers[:-1])
    assert [answer["remaining"] for answer in answers] == [
        len(bodies) - sum(len(each["messages"]) for each in answers[: number + 1])
        for number in range(len(answers))
    ]
    assert mail.peek(name)["pending"] == 0


def test_limit_is_the_most_messages(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """No more than asked for."""
    name = fresh("me")
    for number in range(5):
        mail.send("sender", name, str(number))

    answers = take_all(rpc, name, {"limit": 2}, era=era)

    bodies = [[message["body"] for message in answer["messages"]] for answer in answers]
    assert bodies == [["0", "1"], ["2", "3"], ["4"]]


def test_max_chars_is_the_longest_result(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """For a model that wants less at once."""
    name = fresh("me")
    for _ in range(10):
        mail.send("sender", name, "x" * 500)

    answers = take_all(rpc, name, {"max_chars": 2000}, era=era)

    assert all(size(answer) <= 2000 for answer in answers)
    assert [len(answer["messages"]) for answer in answers] == [3, 3, 3, 1]


def test_no_client_gets_more_than_it_shows(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """Whatever its model asks for: the model does not know what its client cuts."""
    name = fresh("me")
    for _ in range(30):
        mail.send("sender", name, "x" * 1000)

    answer = rpc.call("check_inbox", {"name": name, "max_chars": 500_000}, era=era)

    assert size(answer) <= DEFAULT_CHARACTERS


def test_a_list_that_is_too_long_is_cut(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """It is cut off where it would not fit, and says how much is missing."""
    for number in range(40):
        mail.check(fresh(f"{number} {'漢' * 100}"))

    answer = rpc.call("list_mailboxes", {"name": fresh("me")}, era=era)

    assert DEFAULT_CHARACTERS * 0.8 < size(answer) <= DEFAULT_CHARACTERS
    assert answer["more"] >= 20


@pytest.mark.parametrize(
    "arguments",
    [{"limit": 0}, {"limit": 1.5}, {"limit": "many"}, {"max_chars": 999}, {"part": 0}],
)
def test_malformed_limits_are_refused(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str, arguments: dict[str, Any]
) -> None:
    """The sentence names the argument; nothing is taken."""
    name = fresh("me")
    mail.send("sender", name)

    sentence = rpc.refuse("check_inbox", {"name": name, **arguments}, era=era)

    assert f"'{next(iter(arguments))}'" in sentence
    assert mail.peek(name)["pending"] == 1
