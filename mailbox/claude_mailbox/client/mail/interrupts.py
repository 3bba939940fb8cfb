"""Ctrl-C, SIGTERM and SIGHUP without a lost message.

An exception that a signal raises just anywhere may hit between the arrival of an answer and the
line that remembers its lease. So a signal raises only where that is safe (while output is
written, or while we sleep). While we wait for the daemon it half-closes the connection instead:
either the daemon hangs up too, or the answer was already on its way and is read, and released.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports enum, 4 ms

from claude_mailbox.client.reach.connection import Connection

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
# How long a daemon may take to hang up after we said that we leave.
_PATIENCE_SECONDS = 0.5


class Interrupted(BaseException):
    """A signal asked us to end; the exit code is 128 and its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class Interrupts:
    """Watches for the signals that ask a program to end, as a context manager.

    A signal that was ignored from the start (``nohup``, a shell's ``&``) stays ignored.
    """

    def __init__(self) -> None:
        self._signum = 0
        self._connection: Connection | None = None
        self._may_raise = False
        self._former: list[tuple[int, object]] = []

    def __enter__(self) -> "Interrupts":
        for name in _SIGNALS:
            number = getattr(_signal, name, None)
            if number is not None and _signal.getsignal(number) != _signal.SIG_IGN:
                self._former.append((number, _signal.signal(number, self._on_signal)))
        if hasattr(_signal, "setitimer"):
            self._former.append((_signal.SIGALRM, _signal.signal(_signal.SIGALRM, self._on_alarm)))
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(_signal, "setitimer"):
            _signal.setitimer(_signal.ITIMER_REAL, 0)
        for number, handler in self._former:
            _signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self._signum:
            raise Interrupted(self._signum)

    def hang_up(self, connection: Connection) -> "_Waiting":
        """Return a context in which a signal half-closes *connection* and raises nothing."""
        return _Waiting(self, connection)

    def breakable(self) -> "_Breakable":
        """Return a context in which a signal raises `Interrupted` at once."""
        return _Breakable(self)

    def _on_signal(self, signum: int, _frame: object) -> None:
        is_second = bool(self._signum)
        self._signum = self._signum or signum
        if self._may_raise:
            self._may_raise = False  # a second signal must not hit what cleans up
            raise Interrupted(self._signum)
        if self._connection is not None:
            self._leave(self._connection, hard=is_second)

    def _on_alarm(self, _signum: int, _frame: object) -> None:
        if self._connection is not None:
            self._connection.hang_up(hard=True)

    def _leave(self, connection: Connection, *, hard: bool) -> None:
        connection.hang_up(hard=hard)
        if hasattr(_signal, "setitimer"):
            _signal.setitimer(_signal.ITIMER_REAL, _PATIENCE_SECONDS)


class _Waiting:
    def __init__(self, interrupts: Interrupts, connection: Connection) -> None:
        self._interrupts = interrupts
        self._connection = connection

    def __enter__(self) -> None:
        self._interrupts._connection = self._connection
        if self._interrupts._signum:  # it came just before
            self._interrupts._leave(self._connection, hard=False)

    def __exit__(self, *_: object) -> None:
        self._interrupts._connection = None


class _Breakable:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts._may_raise = True
        if self._interrupts._signum:  # it came just before
            self._interrupts._may_raise = False
            self._interrupts.check()

    def __exit__(self, *_: object) -> None:
        self._interrupts._may_raise = False
