"""Conversations: threads, replies and questions on the pages."""

import html

from inbox.visitor import Visitor, send, take
from support.daemon import DaemonProcess


def test_a_thread_is_a_conversation(daemon: DaemonProcess, visitor: Visitor) -> None:
    """Oldest first; messages that belong to none are not there."""
    first = send(daemon, "talk-a", "talk-b", "how is it going?")
    send(daemon, "talk-a", "talk-b", "something else")
    send(daemon, "talk-b", "talk-a", "fine", replyTo=first)
    send(daemon, "talk-a", "talk-b", "good", replyTo=first + 2)

    page = visitor.page("/inbox/thread", id=first)

    assert page.index("how is it going?") < page.index("fine") < page.index("good")
    assert "something else" not in page
    assert f'href="/inbox/thread?id={first}"' in visitor.page("/inbox/mailbox?name=talk-a")
    assert "Replied" in visitor.page(f"/inbox/message?id={first}")


def test_a_long_thread_comes_in_pages(visitor: Visitor, daemon: DaemonProcess) -> None:
    """The newest first, in the order of time."""
    first = send(daemon, "long-a", "long-b", "number 0")
    for number in range(1, 60):
        send(daemon, "long-a", "long-b", f"number {number}.", replyTo=first)

    page = visitor.page("/inbox/thread", id=first)
    earlier = page.rpartition('" rel="prev"')[0].rpartition('href="')[2]
    rest = visitor.page(html.unescape(earlier))

    assert page.count("data-item") == 50
    assert page.index("number 58.") < page.index("number 59.")
    assert rest.count("data-item") == 10


def test_a_session_asks_the_user_and_gets_the_answer(
    daemon: DaemonProcess, visitor: Visitor
) -> None:
    """From the page of the thread; opening that marks this thread's mail as read, and no other's."""
    other = send(daemon, "asking-2", "user", "an unrelated matter")
    question = send(daemon, "asking-1", "user", "May I deploy?", ask=3600)
    assert "question, open" in visitor.page("/")

    page = visitor.page("/inbox/thread", id=question)

    assert "</b> by inbox" in visitor.page(f"/inbox/message?id={question}")
    assert "Waits to be delivered" in visitor.page(f"/inbox/message?id={other}")
    assert "May I deploy?" in page
    fields = {**visitor.fields(f"/inbox/thread?id={question}"), "body": "Yes, go ahead."}
    response = visitor.post("/inbox/write", fields)
    assert response.headers["location"].startswith(f"/inbox/thread?id={question}#")
    (answer,) = take(daemon, "asking-1")
    assert (answer["from"], answer["body"], answer["replyTo"]) == (
        "user",
        "Yes, go ahead.",
        question,
    )
    assert "question, answered" in visitor.page("/inbox/thread", id=question)
    visitor.page("/inbox/mailbox?name=user")


def test_the_user_asks_a_session(daemon: DaemonProcess, visitor: Visitor) -> None:
    """By the form for a new message; the answer is in the thread."""
    fields = {**visitor.fields("/inbox/write"), "to": "asked-1", "body": "Done?", "ask": "300"}
    assert visitor.post("/inbox/write", fields).status_code == 303
    (question,) = take(daemon, "asked-1")
    assert "answerBy" in question

    send(daemon, "asked-1", "user", "Nearly.", replyTo=question["id"])

    assert "Nearly." in visitor.page("/inbox/thread", id=question["id"])


def test_nobody_replies_in_other_peoples_threads(daemon: DaemonProcess, visitor: Visitor) -> None:
    """There is no form, and one that is made up is refused."""
    number = send(daemon, "private-a", "private-b", "between us")
    assert "Reply to" not in visitor.page(f"/inbox/message?id={number}")

    fields = {
        **visitor.fields("/inbox/write"),
        "body": "me, too",
        "replyTo": str(number),
        "thread": str(number),
    }

    assert visitor.post("/inbox/write", fields).status_code == 404
