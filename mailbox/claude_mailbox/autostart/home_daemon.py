"""The daemon that lives in a home folder, and whoever lives at its port, seen from outside."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from claude_mailbox import ports
from claude_mailbox.client.reach import connection as wire
from claude_mailbox.client.reach import lock
from claude_mailbox.client.reach.address import Address, parse_url
from claude_mailbox.errors import AutostartError, MailboxError, StartupError

READY_SECONDS = 20.0
STOP_SECONDS = 20.0
_HEALTH_SECONDS = 2.0
_LOOK_SECONDS = 0.05
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what one connects to instead


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that runs: its process id and its addresses, the first one first."""

    pid: int
    addresses: tuple[str, ...] = ()


class Resident:
    """The daemon of one home folder: is it there, is it ready, make it leave.

    Args:
        home: the home folder; it need not exist.
    """

    def __init__(self, home: str) -> None:
        self._lock = os.path.join(home, "mailbox.lock")

    def running(self) -> Running | None:
        """Return the daemon that holds the home folder's lock, or None.

        Raises:
            AutostartError: if it does not say its pid, or the lock cannot be read.
        """
        found: list[Running] = []

        def is_settled() -> bool:
            content = lock.holder(self._lock)
            pid = (content or {}).get("pid")
            if content is not None and isinstance(pid, int):
                addresses = content.get("addresses")
                urls = map(str, addresses) if isinstance(addresses, list) else ()
                found.append(Running(pid, tuple(urls)))
            # One that is just starting has not written its line yet.
            return content is None or bool(found)

        if not _await(is_settled, READY_SECONDS):
            raise AutostartError(
                f"Something holds {self._lock} and does not say what it is, or you may not read"
                " it: end it first."
            )
        return found[0] if found else None

    def database(self) -> str | None:
        """Return the path of the running daemon's database, or None when it does not answer."""
        found = self.running()
        for url in found.addresses if found else ():
            health = _health(url)
            if health is not None:
                return str(health["dbPath"])
        return None

    def stop(self) -> None:
        """Ask the daemon to end, and return when it has left the home folder.

        Raises:
            AutostartError: if it is somebody else's process, or does not leave in time.
        """
        found = self.running()
        if found is None:
            return
        try:
            os.kill(found.pid, signal.SIGTERM)
        except PermissionError:
            raise AutostartError(
                f"The daemon (pid {found.pid}) runs as another user: stop it there."
            ) from None
        except OSError:
            pass  # it has just ended; Windows has no error of its own for that
        self.await_end(found)

    def await_end(self, found: Running) -> None:
        """Return when *found* has left the home folder.

        Raises:
            AutostartError: if it does not in time.
        """
        if not _await(lambda: self.running() != found, STOP_SECONDS):
            raise AutostartError(
                f"The daemon (pid {found.pid}) did not end within {STOP_SECONDS:.0f} seconds:"
                " end that process yourself and try again."
            )

    def await_ready(self, hint: str, has_failed: Callable[[], bool]) -> Running:
        """Return the daemon once its ``/health`` answers.

        Args:
            hint: how to read its log.
            has_failed: says whether waiting is in vain.

        Raises:
            AutostartError: if it fails or is not ready in time.
        """
        ready: list[Running] = []

        def look() -> bool:
            found = self.running()
            if found is not None and any(_health(url) for url in found.addresses):
                ready.append(found)
            return bool(ready) or has_failed()

        if not _await(look, READY_SECONDS):
            problem = f"is not ready after {READY_SECONDS:.0f} seconds"
        elif not ready:
            problem = "fails at its start"
        else:
            return ready[0]
        raise AutostartError(
            f"Autostart is installed, but the daemon {problem}. Its log says why: {hint}"
        )


def check_port(bind: str, port: int, own: Running | None) -> None:
    """Make sure that nobody but our own daemon *own* answers where the daemon will listen.

    Raises:
        StartupError: if somebody does; the sentence says who.
    """
    if port == 0:
        return
    address = Address(host=_ANY_ADDRESS.get(bind, bind), port=port)
    health: dict[str, object] | None = None
    try:
        health = ask_health(address)
    except wire.ConnectionLost:
        pass  # somebody accepts and says nothing
    except wire.NotOurs:
        pass
    except MailboxError:
        if ports.holder(bind, port) is None:
            return
    if health is not None and own is not None and health.get("pid") == own.pid:
        return
    who = ports.holder(bind, port) or "another process"
    choice = "or choose another port with --port or in mailbox.json"
    if health is not None:
        raise StartupError(
            f"Port {port} is taken by the claude-mailbox of another home folder: {who}, database"
            f" {health.get('dbPath')}. Stop that one, {choice}."
        )
    raise StartupError(
        f"Port {port} is taken by {who}, which is not claude-mailbox. Stop it, {choice}."
    )


def ask_health(address: Address) -> dict[str, object] | None:
    """Return what ``/health`` says at *address*, or None when it is not a claude-mailbox daemon.

    Raises:
        DaemonUnreachable: if nobody answers, or not in HTTP.
    """
    connection = wire.Connection(address, _HEALTH_SECONDS)
    try:
        answer = connection.request("GET", "/health", [], seconds=_HEALTH_SECONDS)
    finally:
        connection.close()
    try:
        content = json.loads(answer.body)
    except ValueError:
        return None
    is_ours = isinstance(content, dict) and {"status", "version", "dbPath"} <= content.keys()
    return content if is_ours else None


def _health(url: str) -> dict[str, object] | None:
    try:
        return ask_health(parse_url(url))
    except MailboxError:
        return None


def _await(condition: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until *condition* holds; False when time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
