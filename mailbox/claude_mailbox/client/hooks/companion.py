"""Rings a session whose daemon is on another machine: one small process beside the session.

The daemon cannot write a file here, so this process follows the session's rings and writes the bell
that the client watches. It starts with the session and ends with it or with its client, whichever
comes first; if it dies, the daemon knows at once that nothing wakes the session, and the next hook
starts another one. There is never more than one for a session: it holds a lock.
"""

import contextlib
import os
import select
import sys
import time

from claude_mailbox import isolation, paths
from claude_mailbox.client.identity.client_process import client_key, is_running
from claude_mailbox.client.reach.api import Daemon, Identity
from claude_mailbox.client.reach.connection import Connection
from claude_mailbox.client.reach.http1 import ChunkDecoder, quote
from claude_mailbox.errors import DaemonUnreachable, MailboxError

_CHECK_SECONDS = 1.0
# The daemon sends at least an empty line every 15 seconds.
SILENCE_SECONDS = 45.0
FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0
_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


def start_companion(session: str, url: str | None, key: str | None) -> str | None:
    """Start the session's companion, unless it runs; return the bell for the client to watch.

    None if there can be none: then the session gets its mail at its prompts.

    Args:
        session: id of the session.
        url: address of the daemon.
        key: that of the client process, as the daemon knows it.
    """
    if sys.platform == "win32":
        return None
    import subprocess

    bell = paths.bell_path(session)
    own_key = client_key()
    try:
        os.makedirs(paths.bells_path(), mode=0o700, exist_ok=True)
        if os.path.exists(bell) and _is_running(session, key):
            return bell
        _write(bell)
        subprocess.Popen(
            [
                *(sys.executable, *isolation.python_arguments()),
                *("session-companion", "--session", session),
                *(() if key is None else ("--client", key)),
                *(() if url is None else ("--url", url)),
            ],
            env={**os.environ, **({} if own_key is None else {"CLAUDE_PID": _pid(own_key)})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ).returncode = 0  # it outlives us
    except OSError:
        return None
    return bell


def registered_key(session: str) -> str | None:
    """Return the key of the client process as the daemon knows it, from the companion's file."""
    try:
        with open(paths.companion_path(session), encoding="utf-8") as file:
            return file.read().strip() or None
    except OSError:
        return None


def _is_running(session: str, key: str | None) -> bool:
    """Return whether the session has a companion for that client process."""
    # Who finds the lock free takes it for a moment, and starts a companion then; so it does no harm
    # if another one that is just starting finds it taken.
    lock = _lock(session)
    if lock is None:
        return registered_key(session) == key
    os.close(lock)
    return False


def _lock(session: str) -> int | None:
    """Lock the session's file; return its descriptor, or None if another process has it locked."""
    import fcntl

    path = paths.companion_path(session)
    while True:
        lock = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.stat(path)):
                return lock
        except FileNotFoundError:
            pass  # it was removed by the one who had it locked
        except BlockingIOError:
            os.close(lock)
            return None
        os.close(lock)


def run_companion(*, session: str, client: str | None = None, url: str | None = None) -> int:
    """Ring the session until it is over, or its client is gone."""
    companion = _Companion(session, client, url)
    has_waited = False
    while (lock := _lock(session)) is None:
        if registered_key(session) == client or not companion.has_client():
            return 0
        # That of a client that was killed has yet to notice it, and removes the bell then.
        time.sleep(FIRST_PAUSE_SECONDS)
        has_waited = True
    os.ftruncate(lock, 0)
    os.write(lock, f"{client or ''}\n".encode())
    try:
        if has_waited and not os.path.exists(companion.bell):
            _write(companion.bell)
        companion.run()
    finally:
        os.unlink(paths.companion_path(session))
    return 0


class _Companion:
    def __init__(self, session: str, client: str | None, url: str | None) -> None:
        self._session = session
        self._client = client
        self._url = url
        self.bell = paths.bell_path(session)
        self._key = client_key()

    def run(self) -> None:
        """Follow the rings, and connect again whenever that ends."""
        pause = FIRST_PAUSE_SECONDS
        while self._goes_on():
            began = time.monotonic()
            with contextlib.suppress(MailboxError):  # the daemon is away, or knows no such session
                self._follow()
            if time.monotonic() - began > LAST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            if self._goes_on():
                time.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)
        if os.path.exists(self.bell):
            # The client was killed: nobody else will say so.
            os.unlink(self.bell)
            self._tell_end()

    def has_client(self) -> bool:
        """Return whether the client that it was started for still runs."""
        # A client key names the process and when it started: for another one, it is another key.
        return self._key is None or (client_key() == self._key and is_running(int(_pid(self._key))))

    def _goes_on(self) -> bool:
        return self.has_client() and os.path.exists(self.bell)

    def _follow(self) -> None:
        daemon = Daemon(self._url)
        query = (f"id={quote(self._session)}",)
        identity = Identity(session=self._session)
        connection = daemon.stream("/v1/session/rings", identity=identity, query=query)
        try:
            self._read(connection)
        finally:
            connection.close()

    def _read(self, connection: Connection) -> None:
        decoder = ChunkDecoder()
        heard_at = time.monotonic()
        while not decoder.done and self._goes_on():
            payload = connection.read_some(decoder, seconds=0)
            if payload:
                heard_at = time.monotonic()
                if b"ring" in payload:
                    _write(self.bell)
            elif time.monotonic() - heard_at > SILENCE_SECONDS:
                raise DaemonUnreachable("The daemon is silent.")
            elif not decoder.done:
                select.select([connection], [], [], _CHECK_SECONDS)

    def _tell_end(self) -> None:
        body = {"sessionId": self._session, "reason": "other", "client": self._client}
        with contextlib.suppress(MailboxError):
            Daemon(self._url).call("POST", "/v1/session/end", body=body)


def _pid(key: str) -> str:
    return key.partition("-")[0]


def _write(bell: str) -> None:
    descriptor = os.open(bell, _FLAGS | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, b"%d\n" % time.time_ns())
    finally:
        os.close(descriptor)
