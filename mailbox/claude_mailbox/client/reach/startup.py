"""Finds the running daemon, or starts one in the background and waits until it answers."""

import os
import subprocess
import sys
import time

from claude_mailbox import isolation, paths
from claude_mailbox.client.reach.address import is_own_daemon
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.connection import NoAnswer
from claude_mailbox.client.reach.lock_file import may_read_lock, running_daemon
from claude_mailbox.errors import DaemonUnreachable, StartupError

# A start takes half a second, on a busy machine longer.
START_SECONDS = 15.0
HEALTH_SECONDS = 5.0
_POLL_SECONDS = 0.02
_LOG_LIMIT = 1024 * 1024
_TAIL_BYTES = 8 * 1024
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0


def find_running(url: str | None = None) -> dict[str, object] | None:
    """Return the health of the daemon, or None if nobody answers.

    Without a URL this asks the daemon of our home folder: another server on our TCP port does
    not count.

    Raises:
        NoAnswer: if it is there, but stuck.
        ConfigError: if the URL or ``mailbox.json`` is malformed.
    """
    with Daemon(url, seconds=HEALTH_SECONDS) as daemon:
        try:
            return daemon.health()
        except NoAnswer as error:
            pid = (running_daemon() or {}).get("pid") if is_own_daemon(url) else None
            if pid is None:
                raise
            raise NoAnswer(
                f"The daemon (pid {pid}) runs, but does not answer: 'claude-mailbox restart' ends it"
                " and starts another."
            ) from error
        except DaemonUnreachable:
            return None


def ensure_running(
    url: str | None = None, seconds: float = START_SECONDS
) -> tuple[dict[str, object], bool]:
    """Start the daemon unless it runs; return its health, and whether we started it.

    Several processes may do this at once: the lock of the home folder lets one daemon through.

    Args:
        url: address of the daemon; only the one of our home folder can be started.
        seconds: how long to wait until it answers.

    Raises:
        DaemonUnreachable: if it does not run and is not ours to start.
        StartupError: if it does not start; the sentence is the daemon's own, or names its log.
    """
    health = find_running(url)
    if health is not None:
        return health, False
    if not is_own_daemon(url):
        address = Daemon(url).address
        raise DaemonUnreachable(f"No daemon answers at {address}, and it must be started there.")
    process, log_start = spawn_daemon()
    health = await_health(process, log_start, seconds)
    # The daemon outlives us: without this, Popen would warn that it still runs.
    process.returncode = 0
    return health, True


def spawn_daemon() -> "tuple[subprocess.Popen[bytes], int]":
    """Start a daemon that outlives us.

    Returns:
        Its process, and the position in the log file where its output begins.

    Raises:
        StartupError: if the home folder or the log cannot be written.
    """
    home, path = paths.home(), paths.log_path()
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > _LOG_LIMIT:
            os.replace(path, f"{path}.old")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise StartupError(
            f"Cannot write {path} ({error.strerror}): check the permissions and free space of the"
            " home folder, or choose another one with CLAUDE_MAILBOX_HOME."
        ) from None
    with os.fdopen(descriptor, "ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            [sys.executable, *isolation.python_arguments(), "serve"],
            cwd=home,
            env=isolation.kept_variables(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            creationflags=_CREATION_FLAGS,
            start_new_session=True,  # has no effect on Windows
        )
    return process, start


def await_health(
    process: "subprocess.Popen[bytes] | None", log_start: int = 0, seconds: float = START_SECONDS
) -> dict[str, object]:
    """Wait until the daemon of our home folder answers, and return its health.

    Args:
        process: the daemon that we started, or None if a service manager starts it.
        log_start: where its output begins in the log file.
        seconds: how long to wait.

    Raises:
        StartupError: if the daemon ends, or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        health = find_running()
        if health is not None:
            return health
        # A daemon that finds the home folder locked by another one ends at once. Then the other
        # one is going to answer.
        if (
            process is not None
            and process.poll() is not None
            and (running_daemon() is None or not may_read_lock())
        ):
            health = find_running()
            if health is not None:
                return health
            raise StartupError(_reason_of_exit(log_start, process.returncode))
        if time.monotonic() > deadline:
            raise StartupError(
                f"The daemon did not answer within {seconds:g} seconds: see {paths.log_path()}."
            )
        time.sleep(_POLL_SECONDS)


def _reason_of_exit(log_start: int, code: int) -> str:
    """Return the error in the last line that the daemon logged, or else its exit status."""
    path = paths.log_path()
    try:
        with open(path, "rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(log_start, size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    if lines and lines[-1].startswith("Error: "):
        return lines[-1].removeprefix("Error: ")
    return f"The daemon exited with status {code} while starting: see {path}."
