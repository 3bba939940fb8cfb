"""Messages that are held: the inbox shows them, says why, and releases them."""

from collections.abc import Iterator

import httpx
import pytest

from inbox.visitor import PATIENCE_SECONDS, Visitor, send, take
from support.daemon import DaemonProcess


@pytest.fixture(scope="module")
def strict() -> Iterator[DaemonProcess]:
    """A daemon that holds the second message between two sessions."""
    with DaemonProcess({"guardAfter": 1, "holdAfter": 2}) as process:
        yield process


@pytest.fixture
def reader(strict: DaemonProcess) -> Iterator[Visitor]:
    """A client with a cookie, for an inbox in which nothing is held."""
    with Visitor(strict) as visitor:
        visitor.post("/inbox/held", visitor.fields("/inbox/write"))
        yield visitor


def hold(daemon: DaemonProcess, one: str, other: str) -> int:
    """Let two sessions write to each other; return the message of them that is held."""
    with httpx.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS) as client:
        for name in (one, other):
            session = {"sessionId": f"{name}-id", "name": name}
            client.post("/v1/session", json=session).raise_for_status()
    send(daemon, one, other, "thanks")
    return send(daemon, other, one, f"thanks to {one}")


def test_held_messages_are_shown_with_the_reason(strict: DaemonProcess, reader: Visitor) -> None:
    """On the first page, on a page of their own, and in the way of each."""
    number = hold(strict, "shown-a", "shown-b")
    assert "1 message is held" in reader.page("/")
    held = reader.page("/inbox/held")
    assert "thanks to shown-a" in held
    assert "very often, without a prompt by you" in held
    assert "<b>Held</b>" in reader.page(f"/inbox/message?id={number}")


def test_messages_of_one_pair_are_released(strict: DaemonProcess, reader: Visitor) -> None:
    """And those of another pair stay, also of one that has a session in common."""
    hold(strict, "pair-a", "pair-b")
    hold(strict, "pair-c", "pair-b")
    fields = {**reader.fields("/inbox/write"), "one": "pair-a", "other": "pair-b"}

    answer = reader.post("/inbox/held", fields)

    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox/held")
    assert [message["body"] for message in take(strict, "pair-a")] == ["thanks to pair-a"]
    assert take(strict, "pair-c") == []
    held = reader.page("/inbox/held")
    assert "thanks to pair-c" in held
    assert "thanks to pair-a" not in held


def test_all_messages_are_released(strict: DaemonProcess, reader: Visitor) -> None:
    hold(strict, "all-a", "all-b")
    hold(strict, "all-c", "all-d")
    assert "Release all" in reader.page("/inbox/held")
    reader.post("/inbox/held", reader.fields("/inbox/write"))
    assert take(strict, "all-a")
    assert "Nothing is held" in reader.page("/inbox/held")


def test_only_our_own_form_releases_them(strict: DaemonProcess, reader: Visitor) -> None:
    hold(strict, "form-a", "form-b")
    assert reader.post("/inbox/held", {"token": "x"}).status_code == 403
    assert take(strict, "form-a") == []
