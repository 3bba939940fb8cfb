"""Ten thousand mailboxes, and a thread of five thousand messages: pages stay as small as ever."""

import html
import re
import time
from collections.abc import Iterator

import pytest

from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.sessions import SessionEvent, Start
from inbox.visitor import Visitor
from support.daemon import DaemonProcess

MAILBOXES, THREAD = 10_000, 5_000
SESSIONS = 2_000
# What a page of 50 short messages or 100 mailboxes has at most, in characters.
PAGE_CHARACTERS = 100_000


@pytest.fixture(scope="module")
def crowded() -> Iterator[DaemonProcess]:
    """A daemon with all that; every fifth mailbox is that of a session."""
    process = DaemonProcess()
    fill(process)
    with process:
        yield process


def fill(process: DaemonProcess) -> None:
    """Write the database, as a daemon would have."""
    now = time.time_ns() // 1_000_000
    connection = open_database(str(process.database))
    transaction = create_transaction(connection)
    connection.execute("BEGIN IMMEDIATE")
    for number in range(MAILBOXES - 2):
        name = f"crowd-{number:05}"
        if number % (MAILBOXES // SESSIONS) == 0:
            session = Start(f"{name}-id", name, client=None, has_bell=True, takes_over=False)
            transaction.sessions.start(session, now - number, is_alive=lambda key: False)
            event = SessionEvent(f"{name}-id", "idle", project=f"project-{number % 7}")
            transaction.shown.note_event(event, now - number)
        else:
            transaction.mailboxes.register(name, now - number)
    first = transaction.mail.send(Draft("talker", "listener", "the platypus begins"), now).id
    for number in range(1, THREAD):
        pair = ("talker", "listener") if number % 2 else ("listener", "talker")
        draft = Draft(*pair, f"platypus number {number}.", reply_to=first)
        transaction.mail.send(draft, now + number, thread=first)
    connection.execute("COMMIT")
    close_database(connection)


@pytest.fixture
def reader(crowded: DaemonProcess) -> Iterator[Visitor]:
    """A client with a cookie."""
    with Visitor(crowded) as visitor:
        yield visitor


def link(page: str, relation: str) -> str:
    """Return where the last link of that kind leads to."""
    return html.unescape(re.findall(rf'href="([^"]*)" rel="{relation}"', page)[-1])


def test_the_first_page_has_a_hundred_mailboxes(reader: Visitor) -> None:
    """And says how many there are; the next hundred are others."""
    page = reader.page("/")
    assert page.count('class="session"') == 100
    assert page.count("data-item") == 50
    assert len(page) < PAGE_CHARACTERS
    assert f"More of {MAILBOXES:,}" in page
    names = set(re.findall(r"crowd-\d+", page))
    following = reader.page("/?page=2")
    assert following.count('class="session"') == 100
    assert not names & set(re.findall(r"crowd-\d+", following))


def test_the_last_page_has_the_rest(reader: Visitor) -> None:
    assert reader.page("/?page=100").count('class="session"') == 100
    assert "There is no page 101" in reader.page("/?page=101")


def test_a_mailbox_is_found_by_a_part_of_its_name(reader: Visitor) -> None:
    page = reader.page("/", find="D-0012")
    assert set(re.findall(r"crowd-\d+", page)) == {f"crowd-0012{digit}" for digit in range(10)}


def test_a_long_thread_is_read_page_by_page(reader: Visitor) -> None:
    """From the newest messages back to the first one."""
    page = reader.page("/inbox/thread", id=1)
    seen = []
    for _ in range(3):
        assert page.count("data-item") == 50
        assert len(page) < PAGE_CHARACTERS
        seen += sorted(map(int, re.findall(r"platypus number (\d+)\.", page)), reverse=True)
        page = reader.page(link(page, "prev"))
    assert seen == list(range(THREAD - 1, THREAD - 151, -1))


def test_search_in_all_mail_is_one_page(reader: Visitor) -> None:
    """The newest, and from there on to older ones; then all is searched that is older, too."""
    page = reader.page("/inbox/search", q="platypus")
    assert page.count("data-item") == 50
    older = reader.page(link(page, "next"))
    assert older.count("data-item") == 50
    assert not set(re.findall(r'id="m(\d+)"', page)) & set(re.findall(r'id="m(\d+)"', older))


def test_the_form_offers_a_hundred_names(reader: Visitor) -> None:
    page = reader.page("/inbox/write")
    assert 0 < len(re.findall(r'<option value="crowd-', page)) <= 100
    assert len(page) < PAGE_CHARACTERS
