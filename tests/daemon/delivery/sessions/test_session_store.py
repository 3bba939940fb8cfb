"""Which session has which mailbox: the rules, on a real database."""

from dataclasses import astuple

import pytest

from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.sessions import Start, Started
from support.stores import Store

ONE = "11111111-aaaa-4000-8000-000000000001"
TWO = "22222222-bbbb-4000-8000-000000000002"
# The same first eight digits as ONE.
TWIN = "11111111-cccc-4000-8000-000000000003"
DAY = 24 * 3600 * 1000


class Registry:
    """The rules, with the arguments that a test does not care about filled in."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.transaction = store.transaction
        self.now = 1_700_000_000_000
        self.alive: set[str] = set()

    def start(
        self,
        session_id: str,
        name: str | None = None,
        *,
        client: str | None = None,
        takes_over: bool = False,
        has_bell: bool = True,
    ) -> Started:
        """Start a session in the project `shop`."""
        name = name or f"shop-{session_id[:8]}"
        session = Start(session_id, name, client, has_bell, takes_over)
        return self.transaction.sessions.start(session, self.now, is_alive=self.alive.__contains__)

    def end(
        self, session_id: str, *, client: str | None = None, hands_on: bool = False
    ) -> tuple[str | None, bool]:
        """End a session."""
        return self.transaction.sessions.end(
            session_id,
            client,
            self.now,
            hands_on=hands_on,
            is_alive=self.alive.__contains__,
        )

    def send(self, sender: str, to: str) -> None:
        """Send a message."""
        self.transaction.mail.send(Draft(sender, to, "hello"), self.now)

    def take(self, name: str) -> None:
        """Take all mail for good."""
        claim = self.transaction.leases.claim(name, self.now, limit=100, max_bytes=10**6)
        self.transaction.leases.settle([each.lease for each in claim.deliveries], self.now)

    def mailbox_of(self, session_id: str) -> str | None:
        """Return a session's mailbox."""
        return self.transaction.sessions.mailbox_of(session_id)


@pytest.fixture
def registry(store: Store) -> Registry:
    """The rules on an empty database."""
    return Registry(store)


class TestStart:
    def test_gives_the_name_that_was_asked_for(self, registry: Registry) -> None:
        """A new session gets what it proposes, and an empty mailbox."""
        assert registry.start(ONE) == Started("shop-11111111", 0, None)

    def test_keeps_the_mailbox_whatever_changes(self, registry: Registry) -> None:
        """Another folder proposes another name, and a rename gave a third; the mailbox stays."""
        registry.start(ONE)
        registry.transaction.mailboxes.rename("shop-11111111", "frontend", registry.now)
        registry.send("bob", "frontend")
        assert registry.start(ONE, "elsewhere-11111111") == Started("frontend", 1, None)

    def test_finds_mail_that_was_sent_ahead(self, registry: Registry) -> None:
        """Somebody may write to a name before there is a session."""
        registry.send("bob", "shop-11111111")
        assert registry.start(ONE).pending == 1

    def test_lengthens_a_name_that_another_session_has(self, registry: Registry) -> None:
        """Two ids may begin alike; no session reads the other's mail."""
        registry.start(ONE)
        assert registry.start(TWIN).mailbox == "shop-11111111cccc"

    def test_does_not_take_a_former_name(self, registry: Registry) -> None:
        """Mail to a name that was left behind goes to the mailbox that left it."""
        registry.start(ONE)
        registry.transaction.mailboxes.rename("shop-11111111", "frontend", registry.now)
        assert registry.start(TWIN).mailbox == "shop-11111111cccc"

    def test_counts_when_a_name_cannot_be_lengthened(self, registry: Registry) -> None:
        """Ids that are no longer than their suffix, and names without it, get a number."""
        assert registry.start("11111111").mailbox == "shop-11111111"
        assert registry.start("11111111", "x").mailbox == "shop-11111111"
        assert registry.start("2", "shop-11111111").mailbox == "shop-11111111-2"
        assert registry.start("3", "shop-11111111").mailbox == "shop-11111111-3"


class TestTakingOver:
    def test_hands_the_mailbox_and_its_mail_on(self, registry: Registry) -> None:
        """`/clear`: another session in the same process, with the mail of the one before."""
        registry.start(ONE, client="7-1")
        registry.send("bob", "shop-11111111")
        assert registry.end(ONE, client="7-1", hands_on=True) == ("shop-11111111", False)
        assert registry.start(TWO, client="7-1", takes_over=True) == Started(
            "shop-11111111", 1, ONE
        )
        assert registry.transaction.sessions.session_of("7-1") == TWO

    def test_happens_without_a_reported_end(self, registry: Registry) -> None:
        """The daemon may have been down when the session before ended."""
        registry.start(ONE, client="7-1")
        assert registry.start(TWO, client="7-1", takes_over=True).mailbox == "shop-11111111"

    def test_happens_again_and_again(self, registry: Registry) -> None:
        """The mailbox goes down the line."""
        registry.start(ONE, client="7-1")
        for number in range(3):
            started = registry.start(f"next-{number}", client="7-1", takes_over=True)
            assert started.mailbox == "shop-11111111"

    def test_is_for_the_same_client_alone(self, registry: Registry) -> None:
        """A session that was cleared elsewhere, or in a process with the same id, is not ours."""
        registry.start(ONE, client="7-1")
        for client in ("8-1", "7-2", None):
            started = registry.start(f"{client}-new", "other", client=client, takes_over=True)
            assert started.mailbox != "shop-11111111"
        assert registry.mailbox_of(ONE) == "shop-11111111"

    def test_does_not_happen_to_a_session_that_another_client_runs(
        self, registry: Registry
    ) -> None:
        """It was resumed in two terminals, and one of them is cleared."""
        registry.start(ONE, client="7-1")
        registry.start(ONE, client="8-1")
        registry.alive = {"7-1", "8-1"}
        assert registry.start(TWO, client="8-1", takes_over=True).mailbox == "shop-22222222"
        assert registry.mailbox_of(ONE) == "shop-11111111"

    def test_leaves_the_former_session_a_new_mailbox(self, registry: Registry) -> None:
        """Resumed one day, the cleared session does not share with its successor."""
        registry.start(ONE, client="7-1")
        registry.start(TWO, client="7-1", takes_over=True)
        assert registry.start(ONE, client="9-1").mailbox == "shop-11111111aaaa"
        assert registry.mailbox_of(TWO) == "shop-11111111"

    def test_a_session_with_a_mailbox_keeps_its_own(self, registry: Registry) -> None:
        """One that is known does not take what another had."""
        registry.start(ONE, client="7-1")
        registry.start(TWO, client="8-1")
        started = registry.start(TWO, client="7-1", takes_over=True)
        assert (started.mailbox, started.former) == ("shop-22222222", None)


class TestEnd:
    def test_deletes_a_mailbox_where_nothing_pends(self, registry: Registry) -> None:
        """A session that is through leaves no mailbox behind."""
        registry.start(ONE, client="7-1")
        assert registry.end(ONE, client="7-1") == ("shop-11111111", True)
        assert registry.transaction.mailboxes.present_name("shop-11111111") is None

    @pytest.mark.parametrize(("sender", "to"), [("bob", "shop-11111111"), ("shop-11111111", "bob")])
    def test_keeps_a_mailbox_where_something_pends(
        self, registry: Registry, sender: str, to: str
    ) -> None:
        """Mail to it is still wanted, and the answer to mail from it needs an address."""
        registry.start(ONE)
        registry.send(sender, to)
        assert registry.end(ONE) == ("shop-11111111", False)
        registry.take(to)
        assert registry.end(ONE) == ("shop-11111111", True)

    def test_brings_the_name_back_with_the_session(self, registry: Registry) -> None:
        """A renamed session that ended and is resumed has its own name, not the derived one."""
        registry.start(ONE)
        registry.transaction.mailboxes.rename("shop-11111111", "frontend", registry.now)
        registry.end(ONE)
        assert registry.start(ONE).mailbox == "frontend"

    def test_does_not_bring_back_a_name_that_is_taken(self, registry: Registry) -> None:
        """Meanwhile another session may have chosen it."""
        registry.start(ONE)
        registry.transaction.mailboxes.rename("shop-11111111", "frontend", registry.now)
        registry.end(ONE)
        registry.start(TWO, "frontend")
        assert registry.start(ONE).mailbox == "shop-11111111"

    def test_waits_for_the_last_client(self, registry: Registry) -> None:
        """The same session may be open in two terminals."""
        registry.start(ONE, client="7-1")
        registry.start(ONE, client="8-1")
        registry.alive = {"7-1", "8-1"}
        assert registry.end(ONE, client="8-1") == ("shop-11111111", False)
        assert registry.end(ONE, client="7-1") == ("shop-11111111", True)

    @pytest.mark.parametrize("hands_on", [False, True])
    @pytest.mark.parametrize("other", [None, "8-1"])
    def test_by_another_client_is_ignored_while_the_client_runs(
        self, registry: Registry, other: str | None, hands_on: bool
    ) -> None:
        """The id of a session is no secret."""
        registry.start(ONE, client="7-1")
        registry.alive = {"7-1", "8-1"}
        assert registry.end(ONE, client=other, hands_on=hands_on) == ("shop-11111111", False)
        assert registry.transaction.sessions.with_bell() == {ONE}
        assert registry.transaction.sessions.session_of("7-1") == ONE
        registry.alive = {"8-1"}
        assert registry.end(ONE, client=other) == ("shop-11111111", True)

    def test_does_not_wait_for_a_dead_client(self, registry: Registry) -> None:
        """A client that was killed never says that the session ended."""
        registry.start(ONE, client="7-1")
        registry.start(ONE, client="8-1")
        registry.alive = {"8-1"}
        assert registry.end(ONE, client="8-1") == ("shop-11111111", True)

    def test_of_an_unknown_session_is_no_error(self, registry: Registry) -> None:
        """It may be older than the plugin."""
        assert registry.end(ONE) == (None, False)

    def test_is_forgotten_in_the_end(self, registry: Registry) -> None:
        """A month after it was seen last, nothing is left of a session without a mailbox."""
        registry.start(ONE)
        registry.end(ONE)
        registry.now += 31 * DAY
        registry.start(TWO)
        rows = registry.store.query("SELECT id FROM session")
        assert rows == [(TWO,)]


class TestBounds:
    def test_few_clients_of_a_session_are_remembered(self, registry: Registry) -> None:
        """Those that live, and the one that announces it now, before others."""
        registry.alive = {"3-1", "5-1"}
        for number in range(50):
            registry.start(ONE, client=f"{number}-1")
        clients = {key for key, _ in registry.transaction.sessions.clients()}
        assert len(clients) == 8
        assert clients >= {"3-1", "5-1", "49-1"}
        registry.alive = {f"{number}-1" for number in range(100)}
        for number in range(100):
            registry.start(ONE, client=f"{number}-1")
        assert len(registry.transaction.sessions.clients()) == 8

    def test_so_many_sessions_without_a_mailbox_are_remembered(self, registry: Registry) -> None:
        """Those that were seen last."""
        column, value = registry.store.owner_of_sessions
        registry.store.connection.execute(
            "WITH RECURSIVE counted (number) AS"
            " (SELECT 0 UNION ALL SELECT number + 1 FROM counted WHERE number < 11999)"
            f" INSERT INTO session (id, name, has_bell, seen_at{column})"
            f" SELECT 'former-' || number, 'x', FALSE, {registry.now} - number{value} FROM counted"
        )
        registry.start(ONE)
        ids = registry.store.query("SELECT id FROM session WHERE mailbox_id IS NULL")
        assert {session_id for (session_id,) in ids} == {
            f"former-{number}" for number in range(10_000)
        }


class TestBells:
    def test_ring_for_sessions_with_mail(self, registry: Registry) -> None:
        """Only sessions that listen, have not ended, and have mail."""
        registry.start(ONE)
        registry.start(TWO, has_bell=False)
        registry.start("ended")
        registry.start("without mail")
        for name in ("shop-11111111", "shop-22222222", "shop-ended"):
            registry.send("bob", name)
        registry.end("ended")
        assert registry.transaction.sessions.waiting() == [("shop-11111111", ONE)]
        assert registry.transaction.sessions.with_bell() == {ONE, "without mail"}

    def test_are_not_taken_away_by_others_while_the_client_lives(self, registry: Registry) -> None:
        """Whoever else announces the session; the client itself may."""
        registry.start(ONE, client="7-1")
        registry.alive = {"7-1"}
        registry.start(ONE, has_bell=False)
        assert registry.transaction.sessions.with_bell() == {ONE}
        registry.start(ONE, client="7-1", has_bell=False)
        assert registry.transaction.sessions.with_bell() == set()

    def test_do_not_ring_for_mail_on_its_way(self, registry: Registry) -> None:
        """Leased mail is with a reader already."""
        registry.start(ONE)
        registry.send("bob", "shop-11111111")
        registry.transaction.leases.claim("shop-11111111", 1, limit=1, max_bytes=1000)
        assert registry.transaction.sessions.waiting() == []


class TestClients:
    def test_run_the_session_that_they_announced_last(self, registry: Registry) -> None:
        """One process shows one session at a time."""
        registry.start(ONE, client="7-1")
        registry.start(TWO, client="7-1")
        assert registry.transaction.sessions.clients() == [("7-1", "shop-22222222")]

    def test_lose_their_session_at_its_end(self, registry: Registry) -> None:
        """What the process says later is not that session's."""
        registry.start(ONE, client="7-1")
        registry.end(ONE, client="7-1")
        assert registry.transaction.sessions.session_of("7-1") is None

    def test_keep_the_session_that_they_went_on_to(self, registry: Registry) -> None:
        """The end of one session may be told after the start of the next."""
        registry.start(ONE, client="7-1")
        registry.start(TWO, client="7-1")
        assert registry.end(ONE, client="7-1") == ("shop-11111111", True)
        assert registry.transaction.sessions.session_of("7-1") == TWO


def test_counts_for_status_lines(registry: Registry) -> None:
    """Of living sessions and the user's mailbox alone; a question counts until it has an outcome."""
    for session in (ONE, TWO):
        registry.start(session)
    registry.send("peer", "script")
    registry.send("peer", "user")
    ask = Draft("peer", f"shop-{ONE[:8]}", "May I?", ask=60)
    question = registry.transaction.mail.send(ask, registry.now).id
    registry.send("peer", f"shop-{TWO[:8]}")
    registry.end(TWO)

    def counts() -> list[tuple[object, ...]]:
        return sorted(astuple(row) for row in registry.transaction.sessions.status_counts("user"))

    assert counts() == [("", "user", 1, 0), (ONE, f"shop-{ONE[:8]}", 1, 1)]
    registry.take(f"shop-{ONE[:8]}")
    assert counts() == [("", "user", 1, 0), (ONE, f"shop-{ONE[:8]}", 0, 1)]
    registry.transaction.conversation.close(question, "answered")
    assert counts() == [("", "user", 1, 0)]
