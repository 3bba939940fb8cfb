"""Groups on the pages: who is in them, what was written to them, and writing to one."""

import re

import httpx
import pytest

from inbox.visitor import PATIENCE_SECONDS, Visitor, send, take
from support.daemon import DaemonProcess


def join(daemon: DaemonProcess, group: str, *names: str) -> None:
    """Make mailboxes members of a group."""
    with httpx.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS) as client:
        for name in names:
            client.post(
                "/v1/groups/join", json={"group": group}, headers={"X-Mailbox": name}
            ).raise_for_status()


def test_groups_are_listed_with_their_members(daemon: DaemonProcess, visitor: Visitor) -> None:
    join(daemon, "@listed", "listed-a", "listed-b")
    for page in (visitor.page("/inbox/groups"), visitor.page("/inbox/group", name="@listed")):
        assert "listed-a" in page
        assert "listed-b" in page
    assert 'value="@listed"' in visitor.page("/inbox/write")
    assert "listed-a" in visitor.page("/inbox/write", to="@listed")


def test_a_group_that_nobody_is_in_is_not_found(visitor: Visitor) -> None:
    assert visitor.http.get("/inbox/group?name=@nobody-there").status_code == 404


def test_each_member_gets_a_copy(daemon: DaemonProcess, visitor: Visitor) -> None:
    """From the user; the pages show one message and what became of each copy."""
    join(daemon, "@told", "told-a", "told-b")
    fields = {**visitor.fields("/inbox/write"), "to": "@told", "body": "to all of you"}

    location = visitor.post("/inbox/write", fields).headers["location"]

    (message,) = take(daemon, "told-a")
    assert (message["from"], message["to"], message["body"]) == ("user", "@told", "to all of you")
    for page in (visitor.page(location), visitor.page("/inbox/group", name="@told")):
        assert page.count("data-item") == 1
        assert "delivered to 1 of 2" in page
    assert "as a member of" in visitor.page(f"/inbox/message?id={message['id']}")


def test_many_receivers_are_named_and_asked_about(daemon: DaemonProcess, visitor: Visitor) -> None:
    """Nothing is sent before the person says that all of them are meant."""
    names = [f"many-{number}" for number in range(6)]
    join(daemon, "@many", *names)
    fields = {**visitor.fields("/inbox/write"), "to": "@many", "body": "to very many"}
    asked = visitor.post("/inbox/write", fields)
    assert asked.status_code == 409
    assert all(name in asked.text for name in names)
    assert "to very many" in asked.text
    assert take(daemon, "many-0") == []

    again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    sent = visitor.post("/inbox/write", {**again, **fields, "confirm": "@many"})

    assert sent.status_code == 303
    assert len(take(daemon, "many-0")) == 1


@pytest.mark.parametrize("fields", [{"to": "@empty-one"}, {"to": "@asked-one", "ask": "300"}])
def test_a_message_that_a_group_cannot_get_is_explained(
    daemon: DaemonProcess, visitor: Visitor, fields: dict[str, str]
) -> None:
    """An empty group, or a question to one; what was written stays."""
    join(daemon, "@asked-one", "asked-member")
    form = {**visitor.fields("/inbox/write"), "body": "kept in the form", **fields}
    answer = visitor.post("/inbox/write", form)
    assert answer.status_code in {400, 404}
    assert 'role="alert"' in answer.text
    assert "kept in the form" in answer.text


def test_a_message_between_copies_keeps_them_apart(daemon: DaemonProcess, visitor: Visitor) -> None:
    """Two messages to a group are two, also with the same text."""
    join(daemon, "@twice", "twice-a", "twice-b")
    for _ in range(2):
        send(daemon, "sender", "@twice", "the same words")
    assert visitor.page("/inbox/group", name="@twice").count("data-item") == 2
