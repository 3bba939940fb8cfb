"""Rings sessions: writes the file that a session's client watches, when mail waits and nobody takes it.

A ring only says that there is mail; the client then runs ``check``, which takes all of it. So one
ring is enough until the mailbox is checked, however many messages come meanwhile. Mail that comes
after the check has begun needs a new ring. A ring that is not answered is repeated a few times,
because the client may not be watching yet.

``ring``, ``looking`` and ``looked`` are synchronous and do no I/O; one task, ``serve``, asks which
sessions have mail and writes their files on a thread.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Protocol, TypeVar

import trio

from claude_mailbox.daemon.delivery.bells import commands, files
from claude_mailbox.daemon.delivery.parties.processes import is_alive
from claude_mailbox.errors import MailboxError
from claude_mailbox.paths import bell_path, bells_path

T = TypeVar("T")
logger = logging.getLogger(__name__)

# Time for a check that is under way to take the mail before anybody is rung.
RING_DELAY_SECONDS = 0.02
# When an unanswered ring is repeated. A client answers within a second. New mail in between makes
# it ring after the first of these pauses again.
PAUSES = (2.0, 8.0, 30.0, 120.0)
_RETRY_SECONDS = 1.0

# Returns the mailbox and session of each bell that has reason to ring.
Waiting = Callable[[], Awaitable[Sequence[tuple[str, str]]]]


class Bell(Protocol):
    """Wakes the session of a mailbox that has no waiter. Never blocks."""

    def ring(self, mailbox: str) -> None:
        """Note that mail waits in *mailbox* and no waiter takes it."""
        ...

    def looking(self, mailbox: str) -> None:
        """Note that a check of *mailbox* begins, which will see the mail rung for."""
        ...

    def looked(self, mailbox: str) -> None:
        """Note that *mailbox* was checked, which answers its ring."""
        ...


class RunSync(Protocol):
    """Runs a function that may block, such as one that writes a file."""

    def __call__(self, function: Callable[[], T]) -> Awaitable[T]:
        """Return what *function* returns."""
        ...


async def on_thread(function: Callable[[], T]) -> T:
    """Run a function on a thread, which is abandoned at the shutdown."""
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


class _Ring:
    """A ring of one mailbox's bells that no check has answered yet.

    Attributes:
        at: when it rang, or is to ring first.
        due: when it rings again.
        count: how often it rang.
        has_news: whether mail came since, or since a check began.
    """

    __slots__ = ("at", "count", "due", "has_news")

    def __init__(self, at: float, due: float, count: int) -> None:
        self.at = at
        self.due = due
        self.count = count
        self.has_news = False


class RingListener:
    """Waits for the rings of a session on another machine.

    Attributes:
        is_closed: whether no more will come.
    """

    def __init__(self) -> None:
        self._rung = trio.Event()
        self.is_closed = False

    def ring(self) -> None:
        """Make ``wait`` return."""
        self._rung.set()

    def close(self) -> None:
        """Make ``wait`` return at once, now and later."""
        self.is_closed = True
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most *seconds*; return whether one came."""
        with trio.move_on_after(seconds):
            await self._rung.wait()
        has_rung = self._rung.is_set() and not self.is_closed
        self._rung = trio.Event()
        return has_rung


class Doorbell(Bell):
    """The bells of all sessions.

    Args:
        waiting: returns the mailboxes and sessions with mail.
        run_sync: runs what may block: on a thread, or inline in tests.
    """

    def __init__(self, waiting: Waiting, run_sync: RunSync = on_thread) -> None:
        self._waiting = waiting
        self._run_sync = run_sync
        self._sessions: set[str] = set()
        self._news: set[str] = set()
        self._rings: dict[str, _Ring] = {}
        self._stirred = trio.Event()
        self._failing: set[str] = set()
        # Sessions that ended since ``waiting`` was last called.
        self._ended: set[str] = set()
        # Sessions on other machines, which have no file here.
        self._remote: dict[str, list[RingListener]] = {}

    def __repr__(self) -> str:
        return f"<Doorbell: {len(self._sessions)} sessions, {len(self._rings)} unanswered>"

    def ring(self, mailbox: str) -> None:
        if not self._sessions:
            return
        ring = self._rings.get(mailbox)
        if ring is None:
            self._news.add(mailbox)
        else:
            ring.has_news = True
            soon = ring.at + PAUSES[0]
            if ring.due <= soon:
                return
            ring.due, ring.count = soon, 0
        self._stirred.set()

    def ring_later(self, mailbox: str) -> None:
        """Ring for mail that waits already, when the session's client has had time to start."""
        now = trio.current_time()
        self._rings[mailbox] = _Ring(now, now + PAUSES[0], 0)
        self._stirred.set()

    def looking(self, mailbox: str) -> None:
        ring = self._rings.get(mailbox)
        if ring is not None:
            ring.has_news = False

    def looked(self, mailbox: str) -> None:
        ring = self._rings.pop(mailbox, None)
        if ring is not None and ring.has_news:
            self.ring(mailbox)

    async def add(self, session_id: str) -> str | None:
        """Make a session's bell and ring it from now on; return its path.

        None if the home folder cannot be written; then the session gets its mail at its prompts.
        """
        path = bell_path(session_id)
        self._ended.discard(session_id)
        if not await self._run_sync(partial(self._write, [path])):
            return None
        self._sessions.add(session_id)
        return path

    def listen(self, session_id: str) -> RingListener:
        """Return a listener for the rings of a session on another machine."""
        listener = RingListener()
        self._remote.setdefault(session_id, []).append(listener)
        self._sessions.add(session_id)
        return listener

    def unlisten(self, session_id: str, listener: RingListener) -> None:
        """Remove a listener."""
        listeners = self._remote[session_id]
        listeners.remove(listener)
        if not listeners:
            del self._remote[session_id]
            self._sessions.discard(session_id)

    def is_heard(self, session_id: str) -> bool:
        """Return whether a session on another machine has a listener."""
        return session_id in self._remote

    def close(self) -> None:
        """Close all listeners."""
        for listeners in self._remote.values():
            for listener in listeners:
                listener.close()

    async def remove(self, session_id: str) -> None:
        """Remove a session's bell."""
        self._sessions.discard(session_id)
        self._ended.add(session_id)
        path = bell_path(session_id)
        await self._run_sync(partial(files.remove, path))
        await self._run_sync(partial(commands.remove, path))

    async def restore(self, sessions: Iterable[str]) -> None:
        """Ring these sessions from now on, after a start of the daemon.

        Missing files are made again, and files of other sessions removed.
        """
        self._sessions = set(sessions)
        keep = {bell_path(session_id) for session_id in self._sessions}
        await self._run_sync(partial(self._restore, keep))

    def _restore(self, keep: AbstractSet[str]) -> None:
        beside = {path + suffix for path in keep for suffix in commands.SUFFIXES}
        files.keep_only(keep | beside)
        self._write([path for path in keep if not os.path.lexists(path)])

    async def serve(self) -> None:
        """Ring whenever there is reason to, until cancelled."""
        async with trio.open_nursery() as nursery:
            await self._serve(nursery)

    async def _serve(self, nursery: trio.Nursery) -> None:
        while True:
            due = min((ring.due for ring in self._rings.values()), default=float("inf"))
            with trio.move_on_at(due):
                await self._stirred.wait()
            self._stirred = trio.Event()
            if self._news:
                await trio.sleep(RING_DELAY_SECONDS)
            await self._ring_due(nursery)

    async def _ring_due(self, nursery: trio.Nursery) -> None:
        now = trio.current_time()
        news, self._news = self._news, set()
        # A name that has a ring was noted while ``waiting`` ran, and rang with it.
        names = {name for name in news if name not in self._rings}
        names |= {name for name, ring in self._rings.items() if ring.due <= now}
        if not names:
            return
        self._ended.clear()
        try:
            reasons = _by_mailbox(await self._waiting())
        except MailboxError as error:
            logger.warning("could not look up which sessions to ring: %s", error)
            self._rings.update({name: _Ring(now, now + _RETRY_SECONDS, 0) for name in names})
            return
        paths = []
        for name in names:
            ring = self._rings.pop(name, None)
            if name in reasons:
                count = ring.count if ring is not None else 0
                due = now + PAUSES[count] if count < len(PAUSES) else float("inf")
                self._rings[name] = _Ring(now, due, count + 1)
                for session_id in reasons[name]:
                    if session_id not in self._remote:
                        paths.append(bell_path(session_id))
                    for listener in self._remote.get(session_id, ()):
                        listener.ring()
        if paths:
            with_command = await self._run_sync(partial(self._ring, paths))
            for path in {bell_path(session_id) for session_id in self._ended} & set(paths):
                await self._run_sync(partial(files.remove, path))
            for path in with_command:
                nursery.start_soon(self._run_sync, partial(commands.run, path, is_alive))

    def _ring(self, paths: Sequence[str]) -> Sequence[str]:
        """Write the files, on a thread; return those that have a command."""
        return [path for path in self._write(paths) if commands.is_beside(path)]

    def _write(self, paths: Sequence[str]) -> Sequence[str]:
        """Write the files, on a thread; return those that could be written."""
        if not paths:
            return []
        try:
            files.make_folder()
        except OSError as error:
            self._note_failure(bells_path(), error)
            return []
        self._failing.discard(bells_path())
        written = []
        for path in paths:
            try:
                files.ring(path)
            except OSError as error:
                self._note_failure(path, error)
            else:
                self._failing.discard(path)
                written.append(path)
        return written

    def _note_failure(self, path: str, error: OSError) -> None:
        if path not in self._failing:
            logger.error("cannot ring by %s: %s", path, error.strerror)
        self._failing.add(path)


def _by_mailbox(waiting: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    sessions: dict[str, list[str]] = {}
    for mailbox, session_id in waiting:
        sessions.setdefault(mailbox, []).append(session_id)
    return sessions
