"""Fixtures for the end-to-end tests, which are collected only if ``tests/e2e/run`` starts pytest.

Every test has a temporary folder with the home of a user and a tmux server, and a home folder of the
daemon. The folder is deleted if the test passes; if it fails, the folder is kept and its path shown.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from e2e.harness.claude import Claude, Session
from e2e.harness.mail import Mail
from e2e.harness.model import Model, Script
from e2e.harness.plugin import FROM_FOLDER, Peer, Plugin, install, mailbox_name
from e2e.harness.terminal import Terminals
from e2e.harness.waiting import eventually

CLIENT = os.environ.get("MAILBOX_E2E_CLIENT", "")

if not CLIENT:
    collect_ignore_glob = ["test_*.py"]

Measure = Callable[[str, float], None]
Figures = dict[str, list[float]]
FIGURES = pytest.StashKey[Figures]()
FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def _offline() -> None:
    """Check that there is no network but loopback, so that the client cannot reach any other."""
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        pytest.skip("not in a loopback-only network namespace: use tests/e2e/run")


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for one test, with a path that is short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="mailbox-e2e-"))
    yield path
    if request.node.stash.get(FAILED, True):
        print(f"kept: {path}")
    else:
        eventually(lambda: _is_deleted(path), lambda: f"{path} is still written to")


def _is_deleted(path: Path) -> bool:
    """Delete a folder, in which clients that were killed may have left processes for a moment."""
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


@pytest.fixture
def mail(request: pytest.FixtureRequest) -> Iterator[Mail]:
    """The mail system, whose daemon is not started yet."""
    mail = Mail()
    yield mail
    mail.close(is_failing=request.node.stash.get(FAILED, True))


@pytest.fixture
def claude(folder: Path, mail: Mail) -> Iterator[Claude]:
    """Claude Code of a user, whose hooks and tools use the mail system."""
    with Terminals(folder) as terminals:
        yield Claude(CLIENT, folder, terminals, mail.env)


class Sessions:
    """Starts models and sessions, and ends them with the test.

    Attributes:
        models: all models that were started.
        sessions: all sessions that were started.
    """

    def __init__(self, claude: Claude, mail: Mail, stack: ExitStack) -> None:
        self._claude = claude
        self._mail = mail
        self._stack = stack
        self.models: list[Model] = []
        self.sessions: list[Session] = []

    def start_model(self, script: Script) -> Model:
        """Return a model that answers as *script* says."""
        model = self._stack.enter_context(Model(script))
        self.models.append(model)
        return model

    def start(self, script: Script, *arguments: str, **options: Any) -> Session:
        """Return an interactive session with a model of its own; see `Claude.session`."""
        starting = self._claude.session(self.start_model(script), *arguments, **options)
        session = self._stack.enter_context(starting)
        self.sessions.append(session)
        return session

    def start_peer(
        self,
        script: Script,
        plugin: Plugin = FROM_FOLDER,
        *,
        project: str = "project",
        name: str | None = None,
        **options: Any,
    ) -> Peer:
        """Return a session with a mailbox; *name* is the mailbox if it is not a new one."""
        session = self.start(script, *plugin.arguments, project=project, **options)
        peer = Peer(session, name or mailbox_name(project, session.id), self._mail)
        peer.wait_registered()
        return peer


@pytest.fixture
def sessions(claude: Claude, mail: Mail, request: pytest.FixtureRequest) -> Iterator[Sessions]:
    """Models and sessions; the test fails if a script of a model has failed."""
    with ExitStack() as stack:
        sessions = Sessions(claude, mail, stack)
        yield sessions
        if request.node.stash.get(FAILED, True):
            for session in sessions.sessions:
                print(f"screen of session {session.id}:\n{session.terminal.screen()}")
    failures = [failure for model in sessions.models for failure in model.failures]
    assert not failures, f"a script failed: {failures}"


@pytest.fixture(params=["from its folder", "from the marketplace"])
def plugin(request: pytest.FixtureRequest, claude: Claude) -> Plugin:
    """The plugin, loaded in each of the two ways."""
    return FROM_FOLDER if request.param == "from its folder" else install(claude)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Record a measured time, in seconds, for the summary; it is not asserted."""

    def record(what: str, seconds: float) -> None:
        request.config.stash.setdefault(FIGURES, {}).setdefault(what, []).append(seconds)

    return record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell the fixtures whether the test failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the median of each measured time, and how many values it has."""
    if figures := config.stash.get(FIGURES, None):
        terminalreporter.section("measured")
        for what, seconds in figures.items():
            figure = f"{median(seconds) * 1000:6.0f} ms"
            terminalreporter.write_line(f"{figure}  (median of {len(seconds)})  {what}")
