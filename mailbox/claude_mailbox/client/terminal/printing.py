"""Prints leased messages and acks them; what cannot be printed is released."""

from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Daemon, Delivery, Identity
from claude_mailbox.client.terminal import output, text
from claude_mailbox.client.terminal.interrupts import Interrupted, Interrupts
from claude_mailbox.errors import MailboxError, OutputLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def message_lines(deliveries: list[Delivery], *, as_json: bool = False) -> str:
    """Return the messages as ``check`` and ``watch`` print them."""
    if as_json:
        return "".join([codec.encode(delivery.fields) + "\n" for delivery in deliveries])
    return "".join([text.mail_line(d.sender, d.body, d.attempts) + "\n" for d in deliveries])


def renamed_line(new_name: str, *, as_json: bool) -> str:
    """Return what ``watch`` prints when the mailbox is renamed."""
    line = codec.encode({"renamed": new_name}) if as_json else text.rename_line(new_name)
    return line + "\n"


def print_mail(
    shown: str,
    deliveries: list[Delivery],
    *,
    daemon: Daemon,
    identity: Identity,
    interrupts: Interrupts,
    write: "Callable[[str], None]" = output.write,
    is_ack: bool = True,
) -> None:
    """Print *shown*, the text of the messages, and ack them; if that fails, release them.

    Without *is_ack* they stay leased: somebody else finds out whether they arrived.

    Raises:
        OutputLost: if the text could not be written; the messages were released.
        Interrupted: if a signal came before it was written; the messages were released.
    """
    leases = [delivery.lease for delivery in deliveries]
    try:
        with interrupts.raise_on_signal():
            write(shown)
    except Interrupted:
        daemon.release(leases, identity)
        raise
    except OutputLost as error:
        daemon.release(leases, identity)
        raise OutputLost(f"{error} The mail was put back." if leases else str(error)) from None
    if not is_ack:
        return
    try:
        lost = daemon.ack(leases, identity)
    except MailboxError as error:
        output.report_error(
            f"The mail was printed but not confirmed, so it may come again. {error}"
        )
    else:
        if lost:
            output.report_error(
                "The lease expired while the mail was printed, so it may come again."
            )
