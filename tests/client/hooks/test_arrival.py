"""Mail that hooks show is delivered when the model's conversation has it: real hooks, a modelled client."""

import random
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.hooks.client_model import ClientModel
from support.commandline import CommandLine, until

LIVES = 12


class Session:
    """A session of modelled clients, one life after the other."""

    def __init__(self, commandline: CommandLine, folder: Path) -> None:
        self.commandline = commandline
        self._folder = folder
        self.id = str(uuid.uuid4())
        self.name = f"claude-{self.id[:8]}"
        self.client = self._begin("startup")

    def _begin(self, source: str) -> ClientModel:
        client = ClientModel(self.commandline, self.id, self._folder)
        client.start(source)
        return client

    def resume(self) -> None:
        """Begin the next life."""
        self.client = self._begin("resume")

    def send(self, *bodies: str) -> None:
        """Send mail to the session."""
        for body in bodies:
            self.commandline.send(self.name, body)

    def states(self) -> dict[str, str]:
        """Return the state of each message."""
        path = self.commandline.process.database
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return {
                body: ("waiting", "leased", "delivered", "delayed", "held")[state]
                for body, state in connection.execute(
                    "SELECT text, state FROM message JOIN body ON message_id = id ORDER BY id"
                )
            }

    def ring(self, *, is_busy: bool) -> None:
        """Wait for the doorbell, and let the client look at it."""
        until(lambda: self.client.look_at_bell(is_busy=is_busy), "the doorbell")

    def conversation(self) -> str:
        """Return the text of the conversation as a resumed client has it."""
        return "".join(
            str(line.get("rendered") or line.get("message"))
            for line in self.client.transcript.conversation()
        )


@pytest.fixture
def session(own: CommandLine, tmp_path: Path) -> Iterator[Session]:
    """A session with a daemon of its own."""
    opened = Session(own, tmp_path)
    yield opened
    opened.client.kill()


def test_a_prompts_mail_is_leased_until_the_model_has_answered(session: Session) -> None:
    """The hook at the turn's end tells."""
    session.client.begin_prompt("Hello")
    session.client.end_turn()
    session.send("one", "two")
    session.client.begin_prompt()
    assert session.states() == {"one": "leased", "two": "leased"}
    session.client.end_turn()
    assert session.states() == {"one": "delivered", "two": "delivered"}


def test_mail_in_the_queue_of_a_killed_client_is_shown_after_the_resume(session: Session) -> None:
    """It was taken while a tool ran, and nobody saw it."""
    session.client.begin_prompt()
    session.send("one")
    session.ring(is_busy=True)
    assert session.states() == {"one": "leased"}
    session.client.kill()
    session.resume()
    assert session.states() == {"one": "waiting"}
    session.ring(is_busy=False)
    assert session.states() == {"one": "delivered"}
    assert "redelivered" in session.conversation()


def test_mail_that_stands_in_the_resumed_conversation_is_not_shown_again(
    session: Session,
) -> None:
    """The client was killed before the model could answer, but after the line was written."""
    session.send("one")
    session.client.begin_prompt()
    session.client.kill()
    session.resume()
    assert session.states() == {"one": "delivered"}
    assert session.client.look_at_bell(is_busy=False) is False
    assert session.conversation().count("one") == 1


def test_mail_of_a_dead_client_waits_for_the_resume(session: Session) -> None:
    """The daemon sees that the process is gone: the sender is told the truth."""
    session.client.begin_prompt()
    session.send("one")
    session.ring(is_busy=True)
    session.client.kill()
    until(lambda: session.states() == {"one": "waiting"}, "the message back in its place")
    session.resume()
    session.ring(is_busy=False)
    assert session.states() == {"one": "delivered"}


def test_mail_of_a_prompt_that_was_taken_back_is_shown_again(session: Session) -> None:
    """Esc: no hook runs then, but the next turn passes it over."""
    session.client.begin_prompt("Hello")
    session.client.end_turn()
    before = session.client.transcript.last
    session.send("one")
    session.client.begin_prompt("Never mind")
    session.client.transcript.last = before
    session.client.begin_prompt("Another")
    assert session.states() == {"one": "leased"}
    session.client.end_turn("Another answer")
    assert session.states() == {"one": "waiting"}
    session.ring(is_busy=False)
    assert session.states() == {"one": "delivered"}


def test_mail_that_comes_during_the_last_answer_is_not_shown_twice(session: Session) -> None:
    """It waits in the queue at the turn's end, and starts the next turn."""
    session.client.begin_prompt()
    session.send("one")
    session.ring(is_busy=True)
    session.client.end_turn()
    assert session.states() == {"one": "delivered"}
    assert session.conversation().count("one") == 1
    assert "redelivered" not in session.conversation()


def test_mail_that_was_not_answered_goes_back_when_the_session_ends(session: Session) -> None:
    """And comes with the resume."""
    session.client.begin_prompt()
    session.send("one")
    session.ring(is_busy=True)
    session.client.end()
    assert session.states() == {"one": "waiting"}
    session.resume()
    session.ring(is_busy=False)
    assert session.states() == {"one": "delivered"}


class TestBackgroundWatch:
    """``watch --block`` as a background task of the session."""

    def test_the_message_is_leased_until_the_model_has_read_the_output(
        self, session: Session
    ) -> None:
        """The notice of the task's end has no output in it: the model reads a file."""
        session.send("one")
        output = session.client.run("watch", "--block", "--name", session.name)
        assert output.startswith("[Claude-Mailbox] Mail from peer: one\n[mail 1-")
        session.client.begin_prompt()
        session.client.end_turn()
        assert session.states() == {"one": "leased"}
        session.client.begin_prompt()
        session.client.transcript.write(
            "user", message={"content": [{"type": "tool_result", "content": output}]}
        )
        session.client.end_turn("I have read it")
        assert session.states() == {"one": "delivered"}

    def test_it_ends_with_its_client(self, session: Session) -> None:
        """And takes no mail for nobody."""
        watcher = session.client.spawn(
            "watch", "--block", "--name", session.name, "--timeout", "60"
        )
        session.commandline.wait_until_watched(session.name)
        session.client.kill()
        assert watcher.wait(30) == 143
        session.send("one")
        assert session.states() == {"one": "waiting"}

    def test_it_takes_nothing_when_its_client_is_gone_already(self, session: Session) -> None:
        """Not even what waits."""
        session.send("one")
        session.client.kill()
        assert session.client.spawn("watch", "--block", "--name", session.name).wait(30) == 143
        assert session.states() == {"one": "waiting"}

    def test_what_it_printed_comes_back_when_the_client_was_killed(self, session: Session) -> None:
        """Nobody read it."""
        session.send("one")
        session.client.begin_prompt()
        session.client.end_turn()
        session.client.begin_prompt()
        session.send("two")
        session.client.run("watch", "--block", "--name", session.name)
        session.client.kill()
        session.resume()
        assert session.states() == {"one": "delivered", "two": "waiting"}


@pytest.mark.parametrize("seed", [1, 2])
def test_clients_that_are_killed_at_random_moments_lose_and_double_nothing(
    session: Session, seed: int
) -> None:
    """Everything stands in the conversation in the end, and once, unless it says redelivered."""
    chance = random.Random(seed)
    bodies: list[str] = []
    for life in range(LIVES):
        for number in range(chance.randint(1, 2)):
            bodies.append(f"letter {life}-{number};")
            session.send(bodies[-1])
        is_busy = chance.random() < 0.7
        if is_busy:
            session.client.begin_prompt()
        if chance.random() < 0.7:
            session.client.look_at_bell(is_busy=is_busy)
        if chance.random() < 0.3:
            session.client.absorb_queue()
        if is_busy and chance.random() < 0.5:
            session.client.end_turn(f"Answer {life}")
        session.client.kill()
        session.resume()
    while "waiting" in session.states().values():
        session.client.look_at_bell(is_busy=False)
    session.client.begin_prompt()
    session.client.end_turn("The end")
    assert set(session.states().values()) == {"delivered"}
    conversation = session.conversation()
    for body in bodies:
        heads = [part.rpartition("From peer")[2] for part in conversation.split(body)[:-1]]
        assert heads, f"{body} is missing"
        assert all("redelivered" in head for head in heads[1:]), body
