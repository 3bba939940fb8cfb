"""What a verb comes to: an exit code, and one sentence on standard error when it failed."""

from claude_mailbox.client import output
from claude_mailbox.client.mail.interrupts import Interrupted
from claude_mailbox.errors import MailboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXIT_INTERRUPTED = 130


def outcome(verb: "Callable[..., int]", keywords: "Mapping[str, object]") -> int:
    """Run a verb and return its exit code; say on standard error why it failed."""
    try:
        return verb(**keywords)
    except MailboxError as error:
        # A reader that has gone without missing anything is no reason to complain.
        if str(error):
            output.complain(str(error))
        return error.exit_code
    except Interrupted as signal:
        return signal.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
