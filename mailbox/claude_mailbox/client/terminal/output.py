"""Writes to standard output and standard error; every way to fail is one error, `OutputLost`."""

import os
import sys

from claude_mailbox.errors import OutputLost, PipeClosed

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs 3 ms
    from typing import TextIO


def write(text: str) -> None:
    """Write *text* to standard output and flush it.

    Raises:
        OutputLost: if standard output is closed, full or broken.
    """
    _write(1, text)


def write_error(text: str) -> None:
    """Write *text* to standard error and flush it.

    Raises:
        OutputLost: if standard error is closed, full or broken.
    """
    _write(2, text)


def report_error(sentence: str, reason: str | None = None) -> None:
    """Write ``Error: <sentence>`` to standard error, if that can still be written.

    With a *reason*, a word for programs, as the JSON that REST has for an error.
    """
    line = f"Error: {sentence}"
    if reason is not None:
        from claude_mailbox.client import codec

        line = codec.encode({"error": sentence, "reason": reason})
    try:  # noqa: SIM105  # contextlib costs 4 ms
        write_error(line + "\n")
    except OutputLost:
        pass


def is_terminal() -> bool:
    """Return whether standard output is a terminal, so that a person reads it."""
    return sys.stdout is not None and sys.stdout.isatty()


def await_input(descriptor: int, seconds: float) -> bool:
    """Wait until *descriptor* is readable or the time is up.

    Returns:
        False if the reader of our standard output has gone meanwhile: a pipe shows that at once,
        so that in ``watch --follow | head -1`` we end without waiting for another message.
    """
    if sys.platform == "win32":
        return True
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if sys.stdout is not None:
        poll.register(sys.stdout.fileno(), 0)  # no events but errors and hang-ups
    ready = poll.poll(seconds * 1000)
    return not ready or any(number == descriptor for number, _ in ready)


def wait_while_read(seconds: float) -> None:
    """Wait for *seconds*.

    Raises:
        OutputLost: as soon as the reader of our standard output has gone.
    """
    if sys.platform == "win32" or sys.stdout is None:
        import time

        time.sleep(seconds)
        return
    import select

    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # no events but errors and hang-ups
    if poll.poll(seconds * 1000):
        raise OutputLost("")


def _write(descriptor: int, text: str) -> None:
    stream = sys.stdout if descriptor == 1 else sys.stderr
    try:
        if stream is None:
            raise ValueError("it is closed")
        if stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        _discard_buffer(stream)
        name = "Standard output" if descriptor == 1 else "Standard error"
        why = getattr(error, "strerror", None) or error
        kind = PipeClosed if isinstance(error, BrokenPipeError) else OutputLost
        raise kind(f"{name} cannot be written: {why}.") from None
    except BaseException:  # a signal, while we waited for the reader of a pipe
        _discard_buffer(stream)
        raise


def _discard_buffer(stream: "TextIO | None") -> None:
    """Point the stream at the null device, or the interpreter would fail to flush it at exit."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]  # None is an AttributeError
        os.close(null)
    except (AttributeError, OSError, ValueError):
        pass
