"""Two sessions that thank each other for ever are stopped, and their user sees why."""

import json
import re
from typing import Any

from e2e.conftest import Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.plugin import Peer
from e2e.harness.waiting import eventually

# From this message on between two sessions they are held, as configured by default.
HOLD_AFTER = 40


class Polite:
    """A model that answers every message with thanks.

    Attributes:
        other: who gets its first message.
    """

    def __init__(self, name: str) -> None:
        self.other: Peer | None = None
        self._name = name
        self._thanks = 0

    def __call__(self, request: Request) -> Text | ToolCall:
        if "Thank the other one." not in request.news and 'From "' not in request.news:
            return say("All right.")
        assert self.other is not None
        self._thanks += 1
        return call("mailbox__send", to=self.other.name, body=thanks(self._name, self._thanks))


def thanks(name: str, number: int) -> str:
    """Return the text of a message."""
    return f"Thank you, says {name} for the time number {number}."


def held(mail: Mail) -> list[dict[str, Any]]:
    """Return the messages that are held."""
    rows: list[dict[str, Any]] = json.loads(mail.run("held", "list", "--json"))
    return rows


def turns_begun_by_mail(peer: Peer) -> int:
    """Return how many turns of a session were begun by mail."""
    return sum("Mail has come for this session" in request.news for request in peer.model.requests)


def test_two_polite_models_are_stopped_and_no_message_is_lost(
    sessions: Sessions, mail: Mail
) -> None:
    """From the 40th message on, until their user enters a prompt."""
    mail.start()
    first, second = Polite("alpha"), Polite("beta")
    alpha = sessions.start_peer(first, project="alpha")
    beta = sessions.start_peer(second, project="beta")
    first.other, second.other = beta, alpha
    for peer in (alpha, beta):
        peer.session.ask("Hello")
    alpha.session.enter("Thank the other one.")
    (stopped,) = eventually(lambda: held(mail), lambda: "nothing is held")
    assert (stopped["from"], stopped["to"]) == (beta.name, alpha.name)
    alpha.session.wait_idle()
    beta.session.wait_idle()
    assert turns_begun_by_mail(alpha) + turns_begun_by_mail(beta) == HOLD_AFTER - 1

    # Each model was told once before, and the last one why it has to stop.
    told = [
        re.findall(r'"guard":\{"used":(\d+)', each.model.requests[-1].history)
        for each in (alpha, beta)
    ]
    assert told == [["13"], ["12", "40"]]
    assert '"state":"held"' in beta.model.requests[-1].news
    # The user is told, too.
    status = mail.run("status")
    assert f"1 message between '{alpha.name}' and '{beta.name}'" in status
    assert "they write to each other without a prompt by you" in status

    alpha.model.script = beta.model.script = quiet
    alpha.session.ask("What is going on?")
    numbers = range(1, HOLD_AFTER // 2 + 1)
    alpha.assert_read_once(*[thanks("beta", number) for number in numbers])
    beta.assert_read_once(*[thanks("alpha", number) for number in numbers])
    assert held(mail) == []
