"""Runs a command, and turns the errors it raises into an exit code and a sentence."""

from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupted
from claude_mailbox.errors import MailboxError, PipeClosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXIT_INTERRUPTED = 130


def exit_status(
    function: "Callable[..., int]", keywords: "Mapping[str, object]", *, as_json: bool = False
) -> int:
    """Call *function* and return its exit code; write errors to standard error."""
    try:
        return function(**keywords)
    except PipeClosed as error:
        return error.exit_code  # as in `list | head`: nobody reads on, and nothing is lost
    except MailboxError as error:
        # There is no sentence if the reader of a pipe left before there was anything to print.
        if str(error):
            output.report_error(str(error), error.code if as_json else None)
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        # A folder that is gone, a file of somebody else: the system says which.
        where = f" ({error.filename})" if error.filename else ""
        output.report_error(f"The system refused{where}: {error.strerror or error}.")
        return MailboxError.exit_code
    except Interrupted as signal:
        return signal.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
