"""The plugin under test: how it is loaded, its names, and sessions that use it."""

from dataclasses import dataclass

from e2e.harness.claude import Claude, Session
from e2e.harness.mail import ROOT, Mail
from e2e.harness.waiting import eventually

FOLDER = ROOT / "plugin"
NAME = "claude-mailbox"
MARKETPLACE = "claude-mailbox"
SERVER = f"plugin:{NAME}:mailbox"
# Lets the model use the tools without asking.
ALLOWED = ("--allowedTools", f"Bash,mcp__plugin_{NAME}_mailbox")


@dataclass(frozen=True)
class Plugin:
    """The plugin, loaded in one way.

    Attributes:
        loading: arguments that load it; none when it is installed.
    """

    loading: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments for a session that uses it."""
        return (*self.loading, *ALLOWED)


FROM_FOLDER = Plugin(("--plugin-dir", str(FOLDER)))


def install(claude: Claude) -> Plugin:
    """Install the plugin from the repository as a marketplace."""
    claude.run("plugin", "marketplace", "add", str(ROOT)).check_returncode()
    claude.run("plugin", "install", f"{NAME}@{MARKETPLACE}").check_returncode()
    return Plugin()


def uninstall(claude: Claude) -> None:
    """Undo `install`."""
    claude.run("plugin", "uninstall", f"{NAME}@{MARKETPLACE}").check_returncode()
    claude.run("plugin", "marketplace", "remove", MARKETPLACE).check_returncode()


def mailbox_name(project: str, session_id: str) -> str:
    """Return the mailbox name of a new session in the folder *project*."""
    return f"{project}-{session_id[:8]}"


class Peer:
    """A session that has a mailbox.

    Attributes:
        session: the session.
        model: its model.
        name: the mailbox's name.
    """

    def __init__(self, session: Session, name: str, mail: Mail) -> None:
        self.session = session
        self.model = session.model
        self.name = name
        self._mail = mail

    def wait_registered(self) -> None:
        """Wait until the first hook of the session has registered the mailbox."""
        eventually(lambda: self.name in self._mail.names(), lambda: f"no mailbox {self.name}")

    def assert_read_once(self, *bodies: str) -> None:
        """Assert that the model was shown each body once, in this order, and that none waits."""
        self.session.ask("Is that all?")
        history = self.model.requests[-1].history
        assert [history.count(body) for body in bodies] == [1] * len(bodies)
        assert sorted(bodies, key=history.index) == list(bodies)
        assert self._mail.pending(self.name) == 0
