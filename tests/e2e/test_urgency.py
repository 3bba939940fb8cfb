"""How many turns mail costs a session, by its urgency."""

import time
from collections.abc import Sequence

import httpx
import pytest

from e2e.conftest import Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import quiet
from e2e.harness.model import Model


@pytest.fixture(autouse=True)
def _running(mail: Mail) -> None:
    mail.start()


def turns_with(model: Model, part: str, *, after: int) -> int:
    """Return how many turns, from request *after* on, were begun by or shown mail with *part*."""
    return sum(part in request.news for request in model.requests[after:])


def send_paced(mail: Mail, to: str, bodies: Sequence[str], seconds: float) -> None:
    """Send messages at even distances, the last one *seconds* after the first."""
    pause = seconds / (len(bodies) - 1)
    with httpx.Client(base_url=mail.url, headers={"X-Mailbox": "outside"}) as client:
        begun = time.monotonic()
        for number, body in enumerate(bodies):
            time.sleep(max(0.0, begun + number * pause - time.monotonic()))
            client.post("/v1/send", json={"to": to, "body": body}).raise_for_status()


class TestLow:
    def test_ten_messages_cost_an_idle_session_no_turn(
        self, mail: Mail, sessions: Sessions
    ) -> None:
        """They wait for the next prompt, and come with it, all in one turn."""
        peer = sessions.start_peer(quiet, project="alpha")
        control = sessions.start_peer(quiet, project="beta")
        for each in (peer, control):
            each.session.ask("Hello")
        spent = len(peer.model.requests)
        bodies = [f"low message {number:02} of 10" for number in range(1, 11)]
        for body in bodies:
            mail.send(peer.name, body, "--urgency", "low")
        # What would have woken it would have done so by the time that a later message wakes another.
        mail.send(control.name, "the build is green")
        control.model.wait_for("the build is green")
        control.session.wait_idle()
        assert len(peer.model.requests) == spent
        assert mail.pending(peer.name) == len(bodies)

        peer.session.ask("Go on.")
        assert len(peer.model.requests) == spent + 1
        peer.assert_read_once(*bodies)


class TestNormal:
    @pytest.mark.parametrize("seconds", [0.0, 0.5, 0.9])
    def test_ten_messages_within_a_second_cost_an_idle_session_one_turn(
        self, mail: Mail, sessions: Sessions, seconds: float
    ) -> None:
        """Whether they come all at once or one after the other."""
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        spent = len(peer.model.requests)
        bodies = [f"message {number:02} of 10" for number in range(1, 11)]
        send_paced(mail, peer.name, bodies, seconds)
        peer.model.wait_for(bodies[-1])
        peer.session.wait_idle()
        peer.assert_read_once(*bodies)
        assert turns_with(peer.model, "of 10", after=spent) == 1
