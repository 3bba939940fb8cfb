"""A message is delivered when the model's conversation has it, and not before."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator

import pytest

from e2e.conftest import Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.plugin import FROM_FOLDER
from e2e.harness.waiting import TIMEOUT, eventually

ROUNDS = 30


@pytest.fixture(autouse=True)
def _running(mail: Mail) -> None:
    mail.start()


def states(mail: Mail) -> dict[str, str]:
    """Return the state of each message, by body, as the database has it."""
    with sqlite3.connect(f"file:{mail.home / 'mailbox.db'}?mode=ro", uri=True) as connection:
        return {
            body: ("waiting", "leased", "delivered")[state]
            for body, state in connection.execute(
                "SELECT text, state FROM message JOIN body ON message_id = id ORDER BY id"
            )
        }


def wait_for_states(mail: Mail, expected: dict[str, str]) -> None:
    """Wait until the messages are in these states."""
    eventually(lambda: states(mail) == expected, lambda: f"{states(mail)} is not {expected}")


class Busy:
    """A model that runs a tool when it is told to, until it is let go."""

    def __init__(self) -> None:
        self.is_held = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, request: Request) -> Text | ToolCall:
        if "Think." in request.news:
            self.is_held.set()
            self.go_on.wait(TIMEOUT)
        if "Work." in request.news:
            return call("Bash", command="touch started; sleep 300", description="Work")
        return say("All right.")


@pytest.fixture
def busy() -> Iterator[Busy]:
    """The model; it is let go at the end."""
    script = Busy()
    yield script
    script.go_on.set()


class TestProof:
    def test_a_woken_session_has_its_mail_when_it_has_answered(
        self, mail: Mail, sessions: Sessions
    ) -> None:
        """The hook at the turn's end confirms it."""
        peer = sessions.start_peer(quiet, FROM_FOLDER)
        peer.session.ask("Hello")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        wait_for_states(mail, {"the build is green": "delivered"})
        peer.assert_read_once("the build is green")

    def test_a_prompt_brings_mail_and_the_answer_proves_it(
        self, mail: Mail, sessions: Sessions, busy: Busy
    ) -> None:
        """While the model has not answered, the message is leased."""
        peer = sessions.start_peer(busy, FROM_FOLDER)
        peer.session.ask("Hello")
        peer.session.enter("Think.")
        assert busy.is_held.wait(TIMEOUT)
        mail.send(peer.name, "the build is green")
        wait_for_states(mail, {"the build is green": "leased"})
        busy.go_on.set()
        wait_for_states(mail, {"the build is green": "delivered"})
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    @pytest.mark.parametrize("end", ["kill", "hang up"])
    def test_mail_in_the_queue_of_a_client_that_dies_comes_back(
        self, mail: Mail, sessions: Sessions, end: str
    ) -> None:
        """Taken by the doorbell's hook while a tool ran, and never shown: not even after a resume."""
        busy = Busy()
        peer = sessions.start_peer(busy, FROM_FOLDER)
        peer.session.ask("Hello")
        peer.session.enter("Work.")
        peer.session.terminal.wait_until(lambda screen: "sleep 300" in screen, "running tool")
        mail.send(peer.name, "the build is green")
        wait_for_states(mail, {"the build is green": "leased"})
        if end == "kill":
            peer.session.kill()
        else:
            os.kill(peer.session.terminal.pid, signal.SIGHUP)
        assert "the build is green" not in peer.model.requests[-1].history
        resumed = sessions.start_peer(quiet, FROM_FOLDER, name=peer.name, resume=peer.session.id)
        resumed.model.wait_for("the build is green")
        wait_for_states(mail, {"the build is green": "delivered"})
        resumed.session.wait_idle()
        resumed.assert_read_once("the build is green")
        assert "redelivered" in resumed.model.requests[-1].history


def test_a_client_that_is_killed_at_random_moments_loses_and_doubles_nothing(
    mail: Mail, sessions: Sessions
) -> None:
    """Every message stands in the conversation in the end, in order, none twice without a mark."""
    chance = random.Random(20261127)

    def script(request: Request) -> Text | ToolCall:
        if chance.random() < 0.3 and "resumed" not in request.news:
            return call("Bash", command=f"sleep {chance.random() / 2:.2f}", description="Work")
        return say("All right.")

    peer = sessions.start_peer(script, FROM_FOLDER)
    peer.session.ask("Hello")
    bodies: list[str] = []
    current = peer
    for round_number in range(ROUNDS):
        for number in range(chance.randint(1, 3)):
            bodies.append(f"letter {round_number}-{number};")
            mail.send(peer.name, bodies[-1])
        if chance.random() < 0.5:
            current.session.enter("Go on.")
        time.sleep(chance.random())
        current.session.kill()
        current = sessions.start_peer(script, FROM_FOLDER, name=peer.name, resume=peer.session.id)
    eventually(
        lambda: set(states(mail).values()) == {"delivered"},
        lambda: f"{[body for body, state in states(mail).items() if state != 'delivered']}",
    )
    current.session.wait_idle()
    current.session.ask("Is that all?")
    history = current.model.requests[-1].history
    for body in bodies:
        copies = [history.rindex("id ", 0, at) for at in _positions(history, body)]
        assert copies, f"{body} is missing"
        assert all("redelivered" in history[at : at + 40] for at in copies[1:]), body
    firsts = [history.index(body) for body in bodies]
    assert firsts == sorted(firsts)


def _positions(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)
