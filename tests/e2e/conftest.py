"""Fixtures of the end-to-end tests, which are collected only when ``tests/e2e/run`` starts them.

Every test has a stage of its own: a temporary folder with a user's home, a mail home and a tmux
server. The folder is deleted when the test passed; when it failed it stays, and its path is shown.
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

CLIENT = os.environ.get("MAILBOX_E2E_CLIENT", "")

if not CLIENT:
    collect_ignore_glob = ["test_*.py"]

Measure = Callable[[str, float], None]
Figures = dict[str, list[float]]
FIGURES = pytest.StashKey[Figures]()
FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def _offline() -> None:
    """Do not let the real client out: loopback must be the only network there is."""
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        pytest.skip("not in a loopback-only network namespace: use tests/e2e/run")


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for one test, with a path that is short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="mailbox-e2e-"))
    yield path
    if request.node.stash.get(FAILED, True):
        print(f"kept for a look: {path}")
    else:
        shutil.rmtree(path)


@pytest.fixture
def mail(request: pytest.FixtureRequest) -> Iterator[Mail]:
    """The mail system, its daemon not started yet."""
    mail = Mail()
    yield mail
    mail.close(is_failing=request.node.stash.get(FAILED, True))


@pytest.fixture
def claude(folder: Path, mail: Mail) -> Iterator[Claude]:
    """A user's Claude Code, whose hooks and tools find the mail system."""
    with Terminals(folder) as terminals:
        yield Claude(CLIENT, folder, terminals, mail.env)


class Cast:
    """Brings models and sessions on stage, and sees to it that they leave."""

    def __init__(self, claude: Claude, mail: Mail, stack: ExitStack) -> None:
        self._claude = claude
        self._mail = mail
        self._stack = stack
        self.models: list[Model] = []
        self.sessions: list[Session] = []

    def model(self, script: Script) -> Model:
        """Return a model that plays *script*."""
        model = self._stack.enter_context(Model(script))
        self.models.append(model)
        return model

    def session(self, script: Script, *arguments: str, **options: Any) -> Session:
        """Return an interactive session with a model of its own; see `Claude.session`."""
        opening = self._claude.session(self.model(script), *arguments, **options)
        session = self._stack.enter_context(opening)
        self.sessions.append(session)
        return session

    def peer(
        self,
        script: Script,
        plugin: Plugin = FROM_FOLDER,
        *,
        project: str = "project",
        name: str | None = None,
        **options: Any,
    ) -> Peer:
        """Return a session with a mailbox, by the *name* that it has from before, if it has."""
        session = self.session(script, *plugin.arguments, project=project, **options)
        peer = Peer(session, name or mailbox_name(project, session.id), self._mail)
        peer.wait_registered()
        return peer


@pytest.fixture
def cast(claude: Claude, mail: Mail, request: pytest.FixtureRequest) -> Iterator[Cast]:
    """Models and sessions; the test fails when a script did."""
    with ExitStack() as stack:
        cast = Cast(claude, mail, stack)
        yield cast
        if request.node.stash.get(FAILED, True):
            for session in cast.sessions:
                print(f"screen of session {session.id}:\n{session.terminal.screen()}")
    failures = [failure for model in cast.models for failure in model.failures]
    assert not failures, f"a script failed: {failures}"


@pytest.fixture(params=["from its folder", "from the marketplace"])
def plugin(request: pytest.FixtureRequest, claude: Claude) -> Plugin:
    """The plugin, in each of the ways that a user may have it."""
    return FROM_FOLDER if request.param == "from its folder" else install(claude)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Note a measured time, in seconds, for the summary; nothing is asserted on it."""

    def note(what: str, seconds: float) -> None:
        request.config.stash.setdefault(FIGURES, {}).setdefault(what, []).append(seconds)

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let the fixtures know whether their test failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the medians of what was measured, and out of how many."""
    if figures := config.stash.get(FIGURES, None):
        terminalreporter.section("measured")
        for what, seconds in figures.items():
            figure = f"{median(seconds) * 1000:6.0f} ms"
            terminalreporter.write_line(f"{figure}  (median of {len(seconds)})  {what}")
