"""Find the daemon, or start it in the background and wait until it answers."""

import os
import subprocess
import sys
import time

from claude_mailbox import paths
from claude_mailbox.client.reach import address, lock
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.errors import DaemonUnreachable, StartupError

# A start takes half a second; a busy machine takes longer.
START_SECONDS = 15.0
HEALTH_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
_LOG_LIMIT = 1024 * 1024
_TAIL_BYTES = 8 * 1024
# Independent of our terminal, session and end.
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0


def find(url: str | None = None) -> dict[str, object] | None:
    """Return the health of the daemon, or None when nobody answers.

    Without a URL it is the daemon of this home folder, not a stranger at the same port.

    Raises:
        ConfigError: if the URL or ``mailbox.json`` is malformed.
    """
    daemon = Daemon(url, seconds=HEALTH_SECONDS, private=True)
    try:
        return daemon.health()
    except DaemonUnreachable:
        return None
    finally:
        daemon.close()


def ensure(
    url: str | None = None, seconds: float = START_SECONDS
) -> tuple[dict[str, object], bool]:
    """Return the health of the daemon, started if need be, and whether we started it.

    Processes that do so at once end with one daemon: the home folder's lock sees to it.

    Args:
        url: address of the daemon; only the home folder's own one can be started.
        seconds: how long to wait until it answers.

    Raises:
        DaemonUnreachable: if it is down and has an address of its own.
        StartupError: if it does not start; the sentence is its own, or names its log.
    """
    health = find(url)
    if health is not None:
        return health, False
    if not address.is_default(url):
        place = address.candidates(url)[0]
        raise DaemonUnreachable(f"No daemon answers at {place}, and it must be started there.")
    process, log_start = spawn()
    health = await_health(process, log_start, seconds)
    # It outlives us, and nobody is going to wait for it.
    process.returncode = 0
    return health, True


def spawn() -> "tuple[subprocess.Popen[bytes], int]":
    """Start a daemon that outlives us; return its process and where its part of the log begins.

    Raises:
        StartupError: if the home folder or its log cannot be written.
    """
    home, path = paths.home(), paths.log_path()
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > _LOG_LIMIT:
            os.replace(path, f"{path}.old")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise StartupError(
            f"Cannot write {path} ({error.strerror}): check the permissions of the home folder."
        ) from None
    with os.fdopen(descriptor, "ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            # -P keeps files of the working folder off the import path.
            [sys.executable, "-P", "-m", "claude_mailbox", "serve"],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            creationflags=_CREATION_FLAGS,
            start_new_session=True,  # Windows leaves that out
        )
    return process, start


def await_health(
    process: "subprocess.Popen[bytes] | None", log_start: int = 0, seconds: float = START_SECONDS
) -> dict[str, object]:
    """Return the health of the home folder's daemon as soon as it answers.

    Args:
        process: the daemon that we started, or None when somebody else starts it.
        log_start: where its part of the log begins.
        seconds: how long to wait.

    Raises:
        StartupError: if it ends, or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        health = find()
        if health is not None:
            return health
        # One that lost the race for the lock ends at once, and the winner will answer.
        if process is not None and process.poll() is not None and lock.holder() is None:
            health = find()
            if health is not None:
                return health
            raise StartupError(_last_words(log_start, process.returncode))
        if time.monotonic() > deadline:
            raise StartupError(
                f"The daemon did not answer within {seconds:g} seconds: see {paths.log_path()}."
            )
        time.sleep(_PAUSE_SECONDS)


def _last_words(log_start: int, code: int) -> str:
    """Return why the daemon ended, from the last line that it wrote."""
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
    return f"The daemon ended with exit status {code} at its start: see {path}."
