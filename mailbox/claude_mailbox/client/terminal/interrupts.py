"""Ctrl-C, SIGTERM and SIGHUP without a lost message.

A signal handler that raises can do so between the arrival of a response and the line that stores
its lease. So ours raises only where that is safe: while output is written and while we sleep.
While we wait for the daemon it half-closes the connection instead. Then the daemon either closes
it too, or has already sent a response: that is read, and its messages are released.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports enum, 4 ms

from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.connection import Connection
from claude_mailbox.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
# How long the daemon may take to close a connection that we have half-closed.
_CLOSE_SECONDS = 0.5


class Interrupted(BaseException):
    """A signal asked us to end; the exit code is 128 plus its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class Interrupts:
    """Handles the signals that ask a program to end, as a context manager.

    A signal that is ignored from the start (``nohup``, background jobs) stays ignored.
    """

    def __init__(self) -> None:
        self._signum = 0
        self._connection: Connection | None = None
        self._may_raise = False
        self._former_handlers: list[tuple[int, object]] = []

    def __enter__(self) -> "Interrupts":
        for name in _SIGNALS:
            number = getattr(_signal, name, None)
            if number is not None and _signal.getsignal(number) != _signal.SIG_IGN:
                self._handle(number, self._on_signal)
        if hasattr(_signal, "setitimer"):
            self._handle(_signal.SIGALRM, self._on_alarm)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(_signal, "setitimer"):
            _signal.setitimer(_signal.ITIMER_REAL, 0)
        for number, handler in self._former_handlers:
            _signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self._signum:
            raise Interrupted(self._signum)

    def call(self, daemon: Daemon, request: "Callable[..., T]", *arguments: object) -> "T":
        """Call *request*, which asks *daemon* once; a signal ends the wait for the response.

        A response that comes in spite of the signal is returned, so that its messages can be
        released.

        Raises:
            Interrupted: if a signal ended the wait.
        """
        with self.raise_on_signal():
            connection = daemon.connect()
        try:
            with self.hang_up_on_signal(connection):
                return request(*arguments)
        except DaemonUnreachable:
            self.check()
            raise

    def hang_up_on_signal(self, connection: Connection) -> "_HangUpOnSignal":
        """Return a context in which a signal half-closes *connection* and does not raise."""
        return _HangUpOnSignal(self, connection)

    def raise_on_signal(self) -> "_RaiseOnSignal":
        """Return a context in which a signal raises `Interrupted` at once."""
        return _RaiseOnSignal(self)

    def _handle(self, number: int, handler: "Callable[[int, object], None]") -> None:
        self._former_handlers.append((number, _signal.signal(number, handler)))

    def _on_signal(self, signum: int, _frame: object) -> None:
        is_second = bool(self._signum)
        self._signum = self._signum or signum
        if self._may_raise:
            self._may_raise = False  # a second signal must not raise in the cleaning up
            raise Interrupted(self._signum)
        if self._connection is not None:
            self._hang_up(self._connection, hard=is_second)

    def _on_alarm(self, _signum: int, _frame: object) -> None:
        if self._connection is not None:
            self._connection.hang_up(hard=True)

    def _hang_up(self, connection: Connection, *, hard: bool) -> None:
        connection.hang_up(hard=hard)
        if hasattr(_signal, "setitimer"):
            _signal.setitimer(_signal.ITIMER_REAL, _CLOSE_SECONDS)


class _HangUpOnSignal:
    def __init__(self, interrupts: Interrupts, connection: Connection) -> None:
        self._interrupts = interrupts
        self._connection = connection

    def __enter__(self) -> None:
        self._interrupts._connection = self._connection
        if self._interrupts._signum:  # it came just before
            self._interrupts._hang_up(self._connection, hard=False)

    def __exit__(self, *_: object) -> None:
        self._interrupts._connection = None


class _RaiseOnSignal:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts._may_raise = True
        if self._interrupts._signum:  # it came just before
            self._interrupts._may_raise = False
            self._interrupts.check()

    def __exit__(self, *_: object) -> None:
        self._interrupts._may_raise = False
