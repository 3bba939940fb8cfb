"""What the pages show, and what is sent from them."""

import html

import httpx
import pytest

from inbox.visitor import PATIENCE_SECONDS, Visitor, send, take
from support.daemon import DaemonProcess


def test_an_empty_inbox_says_what_to_do_next() -> None:
    """On every page that can be empty."""
    with DaemonProcess() as daemon, Visitor(daemon) as visitor:
        overview = visitor.page("/")
        assert "Start a Claude Code session" in overview
        assert "Write the first one" in overview
        assert "write to it first" in visitor.page("/inbox/mailbox?name=user")
        assert "Type words" in visitor.page("/inbox/search")
        assert "Try fewer" in visitor.page("/inbox/search?q=nothing")


def test_sessions_are_grouped_by_project_with_their_state(
    daemon: DaemonProcess, visitor: Visitor
) -> None:
    """And with what waits for them."""
    session = {"sessionId": "s-1", "name": "shop-1"}
    with httpx.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS) as client:
        client.post("/v1/session", json=session).raise_for_status()
        event = {"sessionId": "s-1", "state": "waiting", "project": "the-shop", "cwd": "/srv/shop"}
        client.post("/v1/session/event", json=event).raise_for_status()
    send(daemon, "peer", "shop-1", "hello")

    overview = visitor.page("/")

    assert "<h2>the-shop</h2>" in overview
    assert "waits for you" in overview
    assert "about to be woken" in overview
    assert "/srv/shop" in visitor.page("/inbox/mailbox?name=shop-1")


def test_looking_takes_no_mail(daemon: DaemonProcess, visitor: Visitor) -> None:
    """From nobody."""
    number = send(daemon, "a", "looked-at", "still there")
    for path in (
        "/",
        "/inbox/mailbox?name=looked-at",
        f"/inbox/message?id={number}",
        "/inbox/search?q=nothing",
    ):
        visitor.page(path)
    for path in ("/", f"/inbox/message?id={number}"):
        assert "still there" in visitor.page(path)

    (message,) = take(daemon, "looked-at")

    assert (message["body"], message["attempts"]) == ("still there", 1)


def test_a_message_page_shows_its_delivery(daemon: DaemonProcess, visitor: Visitor) -> None:
    """Sent, and delivered by what."""
    number = send(daemon, "a", "way-1", "x")
    before = visitor.page(f"/inbox/message?id={number}")
    take(daemon, "way-1")
    after = visitor.page(f"/inbox/message?id={number}")

    assert "Waits to be delivered" in before
    assert "<b>Delivered</b> by check" in after


class TestWrite:
    def test_sends_from_the_user(self, daemon: DaemonProcess, visitor: Visitor) -> None:
        """Before other mail, with the lines as they were written."""
        send(daemon, "peer", "told-1", "earlier")
        fields = {**visitor.fields("/inbox/write"), "to": "told-1", "body": "one\r\ntwo"}

        response = visitor.post("/inbox/write", fields)

        assert response.status_code == 303
        first, second = take(daemon, "told-1")
        assert (first["from"], first["body"]) == ("user", "one\ntwo")
        assert second["body"] == "earlier"

    def test_a_form_that_is_sent_twice_stores_one_message(
        self, daemon: DaemonProcess, visitor: Visitor
    ) -> None:
        """By its key."""
        fields = {**visitor.fields("/inbox/write"), "to": "told-2", "body": "once"}
        first, second = (visitor.post("/inbox/write", fields) for _ in range(2))

        assert (
            first.headers["location"].partition("&")[0]
            == second.headers["location"].partition("&")[0]
        )
        assert len(take(daemon, "told-2")) == 1

    @pytest.mark.parametrize(("to", "body"), [("", "x"), ("a;b", "x"), ("told-3", "")])
    def test_a_mistake_keeps_what_was_written(self, visitor: Visitor, to: str, body: str) -> None:
        """And says what is wrong."""
        fields = {**visitor.fields("/inbox/write"), "to": to, "body": body}

        response = visitor.post("/inbox/write", fields)

        assert response.status_code == 400
        assert 'role="alert"' in response.text
        assert f'value="{html.escape(to)}"' in response.text

    def test_a_mailbox_that_nobody_has_used_is_pointed_out(self, visitor: Visitor) -> None:
        """The message is stored all the same."""
        fields = {**visitor.fields("/inbox/write"), "to": "nobody-yet", "body": "x"}
        location = visitor.post("/inbox/write", fields).headers["location"]

        assert "Nobody has used the mailbox" in visitor.page(location)


class TestSearch:
    def test_in_all_mailboxes_and_in_one(self, daemon: DaemonProcess, visitor: Visitor) -> None:
        """Newest first, each message once, with the words marked."""
        one = send(daemon, "find-a", "find-b", "a platypus swims")
        two = send(daemon, "find-c", "find-d", "the Platypus sleeps")

        everywhere = visitor.page("/inbox/search", q="platypus")
        in_one = visitor.page("/inbox/search", q="platypus", mailbox="find-b")

        assert everywhere.index(f"id={two}") < everywhere.index(f"id={one}")
        assert everywhere.count("data-item") == 2
        assert "<mark>Platypus</mark>" in everywhere
        assert f"id={two}" not in in_one
        assert f"id={one}" in in_one


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('"><img src=x onerror=alert(1)>', "&lt;img src=x onerror=alert(1)&gt;"),
        ("a\u202eb", 'a<span class="hidden-character">U+202E</span>b'),
        ("a\x1b[2Jb", 'a<span class="hidden-character">U+001B</span>[2Jb'),
    ],
)
def test_bodies_are_text(daemon: DaemonProcess, visitor: Visitor, body: str, shown: str) -> None:
    """Never markup, and what is hidden can be seen."""
    number = send(daemon, "a", "text-1", body)

    for path in ("/", "/inbox/mailbox?name=text-1", f"/inbox/message?id={number}"):
        page = visitor.page(path)
        assert shown in page
        assert body not in page


def test_a_megabyte_is_cut_in_lists_and_whole_on_its_own_page(
    daemon: DaemonProcess, visitor: Visitor
) -> None:
    """So that lists stay quick."""
    number = send(daemon, "a", "huge-1", "y" * 1_000_000)

    assert len(visitor.page("/inbox/mailbox?name=huge-1")) < 20_000
    assert len(visitor.page(f"/inbox/message?id={number}")) > 1_000_000
    take(daemon, "huge-1")


def test_every_response_is_protected(daemon: DaemonProcess, visitor: Visitor) -> None:
    """With the policy, pages and files and errors alike."""
    for path in ("/", "/inbox/message?id=999999", "/inbox/static/inbox.js"):
        headers = visitor.http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


def test_mailboxes_and_messages_come_in_pages() -> None:
    """So many of them cost no more than a few."""
    with DaemonProcess() as daemon:
        for number in range(100):
            send(daemon, f"peer-{number}", "crowd", f"message {number}")
        with Visitor(daemon) as visitor:
            first, second = visitor.page("/"), visitor.page("/?page=2")
            page = visitor.page("/inbox/mailbox?name=crowd")
            older = page.rpartition('" rel="next"')[0].rpartition('href="')[2]
            rest = visitor.page(html.unescape(older))

    assert first.count('class="session"') == 100
    assert second.count('class="session"') == 1
    assert page.count("data-item") == rest.count("data-item") == 50
    assert "message 99" in page
    assert "message 49" in rest


def test_a_form_takes_as_much_as_a_message_may_have(
    daemon: DaemonProcess, visitor: Visitor
) -> None:
    """A megabyte, which a form makes three of."""
    body = "\u00e4" * 500_000
    fields = {**visitor.fields("/inbox/write"), "to": "form-huge", "body": body}

    assert visitor.post("/inbox/write", fields).status_code == 303
    assert take(daemon, "form-huge")[0]["body"] == body
