"""From a claim to an ack: what was printed is acked, what was not goes back."""

from claude_mailbox.client import output
from claude_mailbox.client.mail.interrupts import Interrupted, Interrupts
from claude_mailbox.client.reach.api import Daemon, Identity, Mail
from claude_mailbox.errors import DaemonUnreachable, MailboxError, OutputLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def ask(
    interrupts: Interrupts, daemon: Daemon, question: "Callable[..., T]", *arguments: object
) -> "T":
    """Call *question*, which asks the daemon once; a signal ends the wait for the answer.

    An answer that comes in spite of the signal is returned, so that its leases can be put back.

    Raises:
        Interrupted: if a signal ended it.
    """
    with interrupts.breakable():
        connection = daemon.connect()
    try:
        with interrupts.hang_up(connection):
            return question(*arguments)
    except DaemonUnreachable:
        interrupts.check()
        raise


def hand_over(
    interrupts: Interrupts,
    daemon: Daemon,
    identity: Identity,
    mails: list[Mail],
    text: str,
    write: "Callable[[str], None]" = output.write,
) -> None:
    """Write the text of leased messages and ack them, or release them.

    Raises:
        OutputLost: if the text could not be written; the messages were released.
        Interrupted: if a signal came before it was; the messages were released.
    """
    try:
        with interrupts.breakable():
            write(text)
    except Interrupted:
        daemon.release([mail.lease for mail in mails], identity)
        raise
    except OutputLost as error:
        daemon.release([mail.lease for mail in mails], identity)
        raise OutputLost(f"{error} The mail was put back." if mails else str(error)) from None
    try:
        lost = daemon.ack([mail.lease for mail in mails], identity)
    except MailboxError as error:
        output.complain(f"The mail was printed but not confirmed, so it may come again. {error}")
    else:
        if lost:
            output.complain("The lease ran out while the mail was printed: it may come again.")
