"""What tests about sessions do with a broker: start and end them, and enter prompts."""

from claude_mailbox.daemon.delivery.sessions.proof import Proofs
from claude_mailbox.model.sessions import SessionEvent, Start
from daemon.kit import World, virtual_clock


def session_id(mailbox: str) -> str:
    """Return the id of the session that has a mailbox."""
    return f"{mailbox}-id"


async def begin(
    world: World, mailbox: str, project: str | None = None, client: str | None = None
) -> None:
    """Start a session in a project."""
    start = Start(session_id(mailbox), mailbox, client, has_bell=False, takes_over=False)
    event = SessionEvent(session_id(mailbox), "idle", project=project)
    now = virtual_clock()
    await world.ledger.run(
        lambda transaction: (
            transaction.sessions.start(start, now, is_alive=lambda key: True),
            transaction.shown.note_event(event, now),
        )
    )


async def end(world: World, mailbox: str) -> None:
    """End a session."""
    now = virtual_clock()
    await world.ledger.run(
        lambda transaction: transaction.sessions.end(
            session_id(mailbox), None, now, hands_on=False, is_alive=lambda key: False
        )
    )


async def prompt(world: World, mailbox: str, *, is_by_user: bool = True) -> None:
    """Let a turn of a session begin, by its user or by a wake-up."""
    event = SessionEvent(session_id(mailbox), "working", begins_turn=True, is_by_user=is_by_user)
    await Proofs(world.ledger, world.broker, virtual_clock).note_event(event)
