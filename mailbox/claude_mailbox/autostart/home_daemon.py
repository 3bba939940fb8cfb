"""The running daemon of a home folder, seen from outside."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.lock_file import may_read_lock, running_daemon
from claude_mailbox.errors import AutostartError, MailboxError

READY_SECONDS = 20.0
STOP_SECONDS = 20.0
HEALTH_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    """A daemon that runs: its process id, and its addresses in the order of the lock file."""

    pid: int
    addresses: tuple[str, ...] = ()


class HomeDaemon:
    """The daemon of one home folder: whether it runs and is ready, and how to stop it.

    Args:
        home: the home folder, which need not exist.
    """

    def __init__(self, home: str) -> None:
        self._lock_path = os.path.join(home, "mailbox.lock")

    def running(self) -> RunningDaemon | None:
        """Return the running daemon, or None.

        Raises:
            AutostartError: if the lock file is held, but does not say by whom.
        """
        found: list[RunningDaemon] = []

        def is_known() -> bool:
            content = running_daemon(self._lock_path)
            if content is None:
                return True
            pid, addresses = content.get("pid"), content.get("addresses")
            if isinstance(pid, int):  # a daemon that is just starting has not written it yet
                urls = map(str, addresses) if isinstance(addresses, list) else ()
                found.append(RunningDaemon(pid, tuple(urls)))
            return bool(found)

        if not _wait_for(is_known, READY_SECONDS if may_read_lock(self._lock_path) else 0):
            raise AutostartError(
                f"A process holds {self._lock_path}, but the file does not say which, or you may"
                " not read it: end that process first."
            )
        return found[0] if found else None

    def database(self) -> str | None:
        """Return the path of the running daemon's database, or None if it does not answer."""
        running = self.running()
        for url in running.addresses if running else ():
            health = _health(url)
            if health is not None:
                return str(health["dbPath"])
        return None

    def stop(self) -> None:
        """Ask the daemon to end, and wait until it has.

        Raises:
            AutostartError: if another user runs it, or it does not end in time.
        """
        running = self.running()
        if running is None:
            return
        try:
            os.kill(running.pid, signal.SIGTERM)
            if sys.platform != "win32":  # a process that was stopped does not act on anything else
                os.kill(running.pid, signal.SIGCONT)
        except PermissionError:
            raise AutostartError(
                f"The daemon (pid {running.pid}) runs as another user: stop it there."
            ) from None
        except OSError:
            pass  # it has just ended; Windows has no separate error for that
        self.await_end(running)

    def await_end(self, running: RunningDaemon) -> None:
        """Wait until this daemon has ended.

        Raises:
            AutostartError: if it does not end in time.
        """
        if not _wait_for(lambda: self.running() != running, STOP_SECONDS):
            raise AutostartError(
                f"The daemon (pid {running.pid}) is stuck: it did not end within"
                f" {STOP_SECONDS:.0f} seconds. End that process yourself (no stored mail is lost) and"
                " try again."
            )

    def await_ready(self, log_hint: str, has_failed: Callable[[], bool]) -> RunningDaemon:
        """Wait until the daemon answers, and return it.

        Args:
            log_hint: how to read its log.
            has_failed: returns whether there is nothing to wait for.

        Raises:
            AutostartError: if it fails, or is not ready in time.
        """
        ready: list[RunningDaemon] = []

        def is_decided() -> bool:
            running = self.running()
            if running is not None and any(_health(url) for url in running.addresses):
                ready.append(running)
            return bool(ready) or has_failed()

        if not _wait_for(is_decided, READY_SECONDS):
            problem = f"is not ready after {READY_SECONDS:.0f} seconds"
        elif not ready:
            problem = "fails when it starts"
        else:
            return ready[0]
        raise AutostartError(
            f"Autostart is installed, but the daemon {problem}. Its log says why: {log_hint}"
        )


def _health(url: str) -> dict[str, object] | None:
    try:
        with Daemon(url, seconds=HEALTH_SECONDS) as daemon:
            return daemon.health()
    except MailboxError:
        return None


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until *condition* is true; return False if it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
