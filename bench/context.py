"""What every scenario is given: how much to do, where to note it, and daemons to do it with."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench import load, processes
from bench.daemon import Daemon, Home, running, throw_away_home
from bench.errors import BenchError
from bench.http1 import connect, send_request
from bench.report import Recorder
from bench.stats import MS

BODY = "The refactor of the parser is done: tests are green, please rebase. " * 2
BARE_PYTHON = "floor.python"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a run does.

    Attributes:
        name: of the scale.
        processes: runs of a whole process, a figure.
        requests: single requests, a figure.
        rounds: rounds of a drain or of concurrent sends.
        drain: messages in a drained backlog.
        follow: messages in a backlog drained by ``--follow``.
        starts: daemon starts.
        backlogs: sizes of mailboxes whose growth is looked at.
        waiters: how many wait at once, a growth step each.
        daemons: how many daemons share a PostgreSQL, a step each.
        idle_seconds: how long an idle daemon is looked at.
    """

    name: str
    processes: int
    requests: int
    rounds: int
    drain: int
    follow: int
    starts: int
    backlogs: tuple[int, ...]
    waiters: tuple[int, ...]
    daemons: tuple[int, ...]
    idle_seconds: float


SCALES = {
    scale.name: scale
    for scale in (
        Scale("smoke", 2, 10, 1, 20, 50, 1, (100,), (1, 10), (1, 2), 0.2),
        Scale(
            "quick",
            20,
            250,
            3,
            1000,
            10_000,
            5,
            (1_000, 20_000),
            (1, 100, 2_000),
            (1, 2, 4, 8),
            5.0,
        ),
        Scale(
            "full",
            100,
            3000,
            10,
            1000,
            10_000,
            20,
            (1_000, 100_000, 1_000_000),
            (1, 100, 2_000),
            (1, 2, 4, 8),
            30.0,
        ),
    )
}


class Bench:
    """One run.

    Args:
        scale: how much to do.
        recorder: where samples go.
        folder: where the throw-away homes are made; None for the usual place of such files.
    """

    def __init__(self, scale: Scale, recorder: Recorder, folder: str | None) -> None:
        self.scale = scale
        self.folder = folder
        self.skipped: dict[str, str] = {}
        self._recorder = recorder

    def __repr__(self) -> str:
        return f"<Bench: {self.scale.name}>"

    def add(self, name: str, title: str, samples: Iterable[float], unit: str = MS) -> None:
        """Note samples of the figure *name*."""
        self._recorder.add(name, title, unit, samples)

    def skip(self, what: str, why: str) -> None:
        """Note that something was not measured."""
        self.skipped[what] = why

    @contextlib.contextmanager
    def home(self, **settings: object) -> Iterator[Home]:
        """Make a throw-away home."""
        with throw_away_home(self.folder, **settings) as home:
            yield home

    @contextlib.contextmanager
    def daemon(self, **settings: object) -> Iterator[Daemon]:
        """Run a daemon in a throw-away home."""
        with self.home(**settings) as home, running(home) as daemon:
            yield daemon

    def bare_python(self, home: Home, beside: str | None = None) -> None:
        """Time the start of a bare interpreter, next to what is compared with it.

        Args:
            home: where it runs.
            beside: the first word of the ids that are compared with this one; the machine's pace
                may be another when others are measured.
        """
        argv = [sys.executable, "-I", "-S", "-c", "pass"]
        elapsed = processes.whole(argv, home.environment())
        self.add(BARE_PYTHON, "bare 'python -I -S -c pass'", [elapsed])
        if beside is not None:
            self.add(f"{beside}.python", "bare Python, taking turns with it", [elapsed])


def fill(daemon: Daemon, mailbox: str, count: int) -> None:
    """Put *count* messages into a mailbox, the quickest way over the wire."""
    request = send_request("sender", mailbox, BODY)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(daemon.socket_path)) for _ in range(min(64, count))]
        load.closed_loop(sockets, lambda _: request, count)


def require(condition: bool, sentence: str) -> None:
    """Raise `BenchError` unless *condition* holds: a figure must be of what its title says."""
    if not condition:
        raise BenchError(sentence)
