"""Standard output and standard error, so that a failure to write is noticed and means one thing."""

import errno
import os
import sys

from claude_mailbox.errors import OutputLost

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs 3 ms
    from typing import TextIO


def write(text: str) -> None:
    """Write *text* to standard output and flush it.

    Raises:
        OutputLost: if it is closed, full or broken.
    """
    _write(1, text)


def write_error(text: str) -> None:
    """Write *text* to standard error and flush it.

    Raises:
        OutputLost: if it is closed, full or broken.
    """
    _write(2, text)


def complain(sentence: str) -> None:
    """Write an error's sentence to standard error, if anybody reads that."""
    try:  # noqa: SIM105  # contextlib costs 4 ms
        write_error(f"Error: {sentence}\n")
    except OutputLost:
        pass


def is_terminal() -> bool:
    """Say whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def await_input(descriptor: int, seconds: float) -> bool:
    """Wait until *descriptor* can be read, or time is over; False if our reader has gone.

    A pipe says so when nobody has its other end open; `head -1` leaves after its line.
    """
    if sys.platform == "win32":
        return True
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if sys.stdout is not None:
        poll.register(sys.stdout.fileno(), 0)  # asks for errors alone
    ready = poll.poll(seconds * 1000)
    return not ready or any(number == descriptor for number, _ in ready)


def _write(descriptor: int, text: str) -> None:
    stream = sys.stdout if descriptor == 1 else sys.stderr
    try:
        if stream is None:
            raise OSError(errno.EBADF, "it is closed")
        if stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        _silence(stream)
        name = "Standard output" if descriptor == 1 else "Standard error"
        why = getattr(error, "strerror", None) or error
        raise OutputLost(f"{name} cannot be written: {why}.") from None
    except BaseException:  # a signal, while the reader of a pipe kept us waiting
        _silence(stream)
        raise


def _silence(stream: "TextIO | None") -> None:
    """Let what is still buffered go nowhere, so that the interpreter's exit does not stumble."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]  # the except takes None
        os.close(null)
    except (AttributeError, OSError, ValueError):
        pass
