"""What these tests share: short words for sending, taking and waiting."""

from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import MessageStatus
from claude_mailbox.model.mail import Delivery
from claude_mailbox.model.sessions import SessionEvent, Start
from daemon.kit import World, virtual_clock


class Talk:
    """Mailboxes that talk with each other in a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def send(self, sender: str, to: str, body: str = "x", **more: object) -> int:
        """Send a message; return its number."""
        draft = Draft(sender, to, body, **more)  # type: ignore[arg-type]  # fields of a draft
        return (await self.world.broker.send(draft)).id

    async def reply(self, sender: str, number: int, body: str = "reply", **more: object) -> int:
        """Reply to the other side of a message; return the reply's number."""
        return await self.send(sender, "", body, reply_to=number, **more)

    async def take(self, name: str) -> list[Delivery]:
        """Take all mail for good."""
        custody = Custody()
        claim = await self.world.broker.check(name, custody)
        await self.world.broker.leases.settle(custody.tokens)
        return list(claim.deliveries)

    async def bodies(self, name: str) -> list[str]:
        """Take all mail for good; return its texts."""
        return [delivery.body for delivery in await self.take(name)]

    async def notices(self, name: str) -> list[tuple[str | None, int | None]]:
        """Take all mail for good; return of each notice what it tells, and of which message."""
        envelopes = [delivery.envelope for delivery in await self.take(name)]
        return [(each.notice, each.reply_to) for each in envelopes if each and each.notice]

    async def status(self, name: str, number: int) -> MessageStatus:
        """Return what became of a message."""
        return await self.world.broker.receipts.status(name, number)

    async def begin_session(self, session_id: str, name: str) -> None:
        """Announce a session that has the mailbox."""
        start = Start(session_id, name, None, has_bell=True, takes_over=False)

        def job(transaction: Transaction) -> None:
            transaction.sessions.start(start, self.now(), is_alive=lambda key: False)

        await self.world.ledger.run(job)

    async def end_session(self, session_id: str, *, hands_on: bool = False) -> None:
        """Tell of the end of a session."""

        def job(transaction: Transaction) -> None:
            transaction.sessions.end(
                session_id, None, self.now(), hands_on=hands_on, is_alive=lambda key: False
            )

        await self.world.ledger.run(job)

    async def note_state(self, session_id: str, state: str) -> None:
        """Tell what a session does."""
        event = SessionEvent(session_id, state)
        await self.world.ledger.run(
            lambda transaction: transaction.shown.note_event(event, self.now())
        )

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return virtual_clock()
