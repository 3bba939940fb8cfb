"""Two models that answer each message with thanks are stopped: real hooks, modelled clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_mailbox.client.reach.api import Identity
from client.hooks.test_arrival import Session
from support.commandline import CommandLine
from support.daemon import DaemonProcess

HOLD_AFTER = 8


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Session, Session]]:
    """Two sessions of a daemon that holds messages early."""
    with (
        DaemonProcess(settings={"guardAfter": 4, "holdAfter": HOLD_AFTER}) as process,
        CommandLine(process) as commandline,
    ):
        opened = Session(commandline, tmp_path), Session(commandline, tmp_path)
        yield opened
        for session in opened:
            session.client.kill()


def thank(one: Session, other: Session) -> dict[str, object]:
    """Let the model of one session write to the other; return the receipt."""
    body = f"thanks {len(one.states())}"
    with one.commandline.client() as daemon:
        receipt = daemon.call(
            "POST",
            "/v1/send",
            identity=Identity(session=one.id),
            body={"to": other.name, "body": body},
        ).value
    assert isinstance(receipt, dict)
    return receipt


def test_models_that_thank_each_other_are_stopped_and_no_message_is_lost(
    pair: tuple[Session, Session],
) -> None:
    """Each is woken by the other's mail, until a message is held; a prompt lets it through."""
    one, other = pair
    one.client.begin_prompt("Say hello to the other session.")
    receipt = thank(one, other)
    one.client.end_turn()
    turns = 0
    while receipt["state"] == "queued":
        one, other = other, one
        one.ring(is_busy=False)
        turns += 1
        receipt = thank(one, other)
    assert turns == HOLD_AFTER - 1
    guard = receipt["guard"]
    assert isinstance(guard, dict)
    assert "without a prompt of a user" in guard["note"]
    assert "thanks 7" not in other.conversation()
    assert "1 message between" in one.commandline.run("status").stdout

    other.client.begin_prompt("What is it?")
    other.client.end_turn()
    conversations = one.conversation() + other.conversation()
    assert all(f"thanks {number}" in conversations for number in range(HOLD_AFTER))
    assert "1 message between" not in one.commandline.run("status").stdout
