"""Checks before an install that the daemon can have its port."""

from claude_mailbox.autostart.home_daemon import HEALTH_SECONDS, RunningDaemon
from claude_mailbox.client.reach.address import Address, reachable_host
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.connection import ConnectionLost, WrongServer
from claude_mailbox.errors import MailboxError, StartupError
from claude_mailbox.ports import port_owner


def check_port(bind: str, port: int, own: RunningDaemon | None) -> None:
    """Check that nobody but *own*, our running daemon, answers at the port.

    Raises:
        StartupError: if another process does; the sentence says which.
    """
    if port == 0:
        return
    address = Address(host=reachable_host(bind), port=port)
    health: dict[str, object] | None = None
    try:
        with Daemon(str(address), seconds=HEALTH_SECONDS) as daemon:
            health = daemon.health()
    except (ConnectionLost, WrongServer):
        pass  # a server that is not ours
    except MailboxError:
        if port_owner(bind, port) is None:
            return
    if health is not None and own is not None and health.get("pid") == own.pid:
        return
    owner = port_owner(bind, port) or "another process"
    choice = "or choose another port with --port or in mailbox.json"
    if health is not None:
        raise StartupError(
            f"Port {port} is taken by the claude-mailbox of another home folder: {owner}, database"
            f" {health.get('dbPath')}. Stop that one, {choice}."
        )
    raise StartupError(
        f"Port {port} is taken by {owner}, which is not claude-mailbox. Stop it, {choice}."
    )
