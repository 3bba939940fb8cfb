"""What ``follow`` does about a watch that failed, in both libraries."""

from claude_mailbox.client.reach.api import Refused
from claude_mailbox.errors import DaemonUnreachable, MailboxError, QuotaFull, Renamed, Unavailable

FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 5.0


class Retry:
    """How long to wait before the next watch, and under which name.

    Args:
        name: the mailbox.

    Attributes:
        name: its present name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._was_answered = False
        self._pause = FIRST_PAUSE_SECONDS

    def answered(self) -> None:
        """Note that the daemon answered a watch."""
        self._was_answered = True
        self._pause = FIRST_PAUSE_SECONDS

    def seconds_after(self, error: MailboxError) -> float:
        """Return how many seconds to wait after that error.

        Raises:
            MailboxError: the same error, if trying again would not help, or nobody ever answered.
        """
        if isinstance(error, Refused) and error.code == Renamed.code:
            self.name = str(error.fields["to"])
            return 0.0
        # A watch whose connection broke may still be counted as one.
        is_passing = isinstance(error, Refused) and error.status in {
            QuotaFull.status,
            Unavailable.status,
        }
        if not is_passing and not (isinstance(error, DaemonUnreachable) and self._was_answered):
            raise error
        pause, self._pause = self._pause, min(self._pause * 2, LAST_PAUSE_SECONDS)
        return pause
