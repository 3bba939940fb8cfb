"""Gathers a burst: waits for mail that is still coming when a session wakes, to save a second turn."""

import time
from datetime import datetime

from claude_mailbox.client.hooks.context.framing import length
from claude_mailbox.client.reach.api import Daemon, Delivery, Identity
from claude_mailbox.client.terminal.interrupts import Interrupted, Interrupts
from claude_mailbox.errors import MailboxError

# A burst is over when nothing came for this long. A single message is older by the time that the
# client has noticed the doorbell, so it does not wait.
QUIET_SECONDS = 0.3
# The longest wait, for a peer that does not stop.
LIMIT_SECONDS = 0.6
# What the daemon counts for the line above a message.
_FRAME_LENGTH = 200


def gather(
    interrupts: Interrupts,
    daemon: Daemon,
    identity: Identity,
    deliveries: list[Delivery],
    pending: int,
    max_chars: int,
) -> tuple[list[Delivery], int]:
    """Return what was leased and what still comes within a moment; and how many more wait.

    Raises:
        Interrupted: if a signal came; the messages were released.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    room = max_chars - _shown_length(deliveries)
    fresh = deliveries
    try:
        while fresh and not pending and room > 0:
            pause = min(_seconds_to_quiet(fresh[-1]), deadline - time.monotonic())
            if pause <= 0:
                break
            with interrupts.raise_on_signal():
                time.sleep(pause)
            fresh, pending = interrupts.call(daemon, daemon.claim, identity, None, room)
            deliveries = [*deliveries, *fresh]
            room -= _shown_length(fresh)
    except Interrupted:
        daemon.release([each.lease for each in deliveries], identity)
        raise
    except MailboxError:
        pass  # what is here can be shown
    return deliveries, pending


def _seconds_to_quiet(newest: Delivery) -> float:
    """Return how long to wait for the end of a burst; 0 if the clocks do not agree."""
    age = time.time() - datetime.fromisoformat(newest.sent_at).timestamp()
    return max(0.0, QUIET_SECONDS - age) if age >= 0 else 0.0


def _shown_length(deliveries: list[Delivery]) -> int:
    return sum([length(each.body) + _FRAME_LENGTH for each in deliveries])
