"""When bells ring: once for a burst, not for what was read, again for what came meanwhile."""

import os
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from claude_mailbox import paths
from claude_mailbox.daemon.delivery.bells.doorbell import PAUSES, RING_DELAY_SECONDS, Doorbell
from claude_mailbox.errors import Unavailable

T = TypeVar("T")
LONG = 3600.0


class Bells:
    """A doorbell whose mailboxes have mail when the test says so.

    Attributes:
        mail: mailboxes in which mail waits, with the sessions that they belong to.
        failures: how often the question who has mail still fails.
        meanwhile: what happens while that question is answered.
    """

    def __init__(self) -> None:
        self.mail: dict[str, list[str]] = {}
        self.failures = 0
        self.meanwhile: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.doorbell = Doorbell(self._waiting, self._run_inline)
        self._log: list[tuple[float, str]] = []
        self._contents: dict[str, str] = {}

    async def _run_inline(self, function: Callable[[], T]) -> T:
        """Write files in the event loop: virtual time jumps while threads work."""
        await trio.lowlevel.checkpoint()
        value = function()
        contents = {session: read(session) for session in ("shop", "blog")}
        self._log += [
            (trio.current_time(), session)
            for session, content in contents.items()
            if content and content != self._contents.get(session)
        ]
        self._contents = contents
        return value

    async def _waiting(self) -> list[tuple[str, str]]:
        await trio.lowlevel.checkpoint()
        if self.failures:
            self.failures -= 1
            raise Unavailable("The disk is full.")
        waiting = [(name, session) for name, sessions in self.mail.items() for session in sessions]
        await self.meanwhile()
        return waiting

    async def listen(self) -> None:
        """Let both sessions begin to listen; that their files are made is no ring."""
        for session in ("shop", "blog"):
            await self.doorbell.add(session)
        self._log.clear()

    def send(self, name: str, *sessions: str) -> None:
        """Let mail come that nobody waits for in a line."""
        self.mail[name] = list(sessions or (name,))
        self.doorbell.ring(name)

    def read(self, name: str) -> None:
        """Take all mail."""
        self.doorbell.looking(name)
        self.mail.pop(name, None)
        self.doorbell.looked(name)

    async def rings(self, session: str, seconds: float) -> list[float]:
        """Return when, counted from now, the session's bell rings within that time."""
        start = trio.current_time()
        await trio.sleep(seconds)
        return [at - start for at, rung in self._log if rung == session and at >= start]


def replace_bell(session: str, kind: str, scratch: Path) -> Path:
    """Put something else in a bell's place; return a file that it may stand for."""
    precious = scratch / "precious"
    precious.write_text("mine")
    path = Path(paths.bell_path(session))
    path.unlink()
    match kind:
        case "link":
            path.symlink_to(precious)
        case "hard link":
            path.hardlink_to(precious)
        case "dead link":
            path.symlink_to(scratch / "nothing")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    return precious


def is_plain(session: str) -> bool:
    """Return whether a session's bell is a file that nothing else stands for."""
    status = os.lstat(paths.bell_path(session))
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def contents(path: Path) -> str | None:
    """Return what is in a file, None when there is none."""
    return path.read_text() if path.exists() else None


def read(session: str) -> str:
    """Return what is in a session's bell; nothing when there is none."""
    path = Path(paths.bell_path(session))
    return path.read_text() if path.is_file() else ""


@pytest.fixture
async def bells(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bells]:
    """A doorbell that works, with the sessions `shop` and `blog` listening."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(scratch))
    bells = Bells()
    async with trio.open_nursery() as nursery:
        await bells.listen()
        nursery.start_soon(bells.doorbell.serve)
        yield bells
        nursery.cancel_scope.cancel()


class TestRinging:
    async def test_a_session_that_ends_before_its_ring_leaves_no_file(self, bells: Bells) -> None:
        """It ends after the store has named it as one to ring."""
        bells.meanwhile = partial(bells.doorbell.remove, "shop")
        bells.send("shop")
        await trio.sleep(1)
        assert read("shop") == ""

    async def test_is_prompt(self, bells: Bells) -> None:
        """A ring comes as soon as a running check had its chance, to that session alone."""
        bells.send("shop")
        assert await bells.rings("shop", 1) == [pytest.approx(RING_DELAY_SECONDS, abs=0.02)]
        bells.read("shop")
        bells.send("shop")
        assert await bells.rings("blog", 1) == []

    async def test_is_one_for_a_burst(self, bells: Bells) -> None:
        """However much comes before somebody looks, it rings once."""
        for _ in range(5):
            bells.send("shop")
            await trio.sleep(0.2)
        assert await bells.rings("shop", PAUSES[0] - 1.1) == []

    async def test_is_left_out_for_mail_that_was_read(self, bells: Bells) -> None:
        """A check that was on its way took it."""
        bells.send("shop")
        bells.read("shop")
        assert await bells.rings("shop", LONG) == []

    async def test_comes_again_for_new_mail(self, bells: Bells) -> None:
        """Each look makes the bell ready for the next ring."""
        for _ in range(3):
            bells.send("shop")
            assert len(await bells.rings("shop", 1)) == 1
            bells.read("shop")

    async def test_comes_again_for_mail_during_a_look(self, bells: Bells) -> None:
        """What came after the look began is news, though the ring before is answered."""
        bells.send("shop")
        await trio.sleep(1)
        bells.doorbell.looking("shop")
        bells.send("shop")
        bells.doorbell.looked("shop")
        assert len(await bells.rings("shop", 1)) == 1

    async def test_does_not_repeat_for_what_a_look_left(self, bells: Bells) -> None:
        """Whoever looked knows what is left and takes it when he wants it."""
        bells.send("shop")
        await trio.sleep(1)
        bells.doorbell.looking("shop")
        bells.doorbell.looked("shop")
        assert await bells.rings("shop", LONG) == []

    async def test_reaches_all_sessions_of_a_mailbox(self, bells: Bells) -> None:
        """One session may be open twice, and two may share a mailbox."""
        bells.send("shared", "shop", "blog")
        assert len(await bells.rings("shop", 1)) == 1
        bells.read("shared")
        bells.send("shared", "shop", "blog")
        assert len(await bells.rings("blog", 1)) == 1

    async def test_mail_rings_nobody_without_sessions(self, bells: Bells) -> None:
        """Mail of mailboxes without sessions is not even noted."""
        for session in ("shop", "blog"):
            await bells.doorbell.remove(session)
        bells.send("shop")
        assert repr(bells.doorbell) == "<Doorbell: 0 sessions, 0 unanswered>"
        await trio.sleep(1)
        assert not read("shop")


class TestUnanswered:
    async def test_is_repeated_a_few_times(self, bells: Bells) -> None:
        """A client that was not watching yet gets more chances; a dead one is let be."""
        bells.send("shop")
        rings = await bells.rings("shop", LONG)
        gaps = [later - sooner for sooner, later in pairwise(rings)]
        assert gaps == pytest.approx(list(PAUSES), abs=0.05)

    async def test_is_not_repeated_for_mail_that_is_gone(self, bells: Bells) -> None:
        """Somebody else may have taken it, or the mailbox was deleted."""
        bells.send("shop")
        await trio.sleep(1)
        bells.mail.clear()
        assert await bells.rings("shop", LONG) == []

    async def test_starts_anew_with_new_mail(self, bells: Bells) -> None:
        """Mail that comes after the last try rings at once."""
        bells.send("shop")
        await trio.sleep(LONG)
        bells.send("shop")
        assert (await bells.rings("shop", 5))[0] < 0.1

    async def test_is_sooner_with_new_mail(self, bells: Bells) -> None:
        """New mail does not wait for the end of a long pause."""
        bells.send("shop")
        await trio.sleep(PAUSES[0] + PAUSES[1] + 1)
        bells.send("shop")
        assert (await bells.rings("shop", 5))[0] == pytest.approx(PAUSES[0] - 1, abs=0.1)


class TestStart:
    async def test_rings_once_the_client_had_time_to_watch(self, bells: Bells) -> None:
        """Mail from before the session is announced a little after it."""
        bells.mail["shop"] = ["shop"]
        bells.doorbell.ring_later("shop")
        assert (await bells.rings("shop", 5))[0] == pytest.approx(PAUSES[0], abs=0.02)

    async def test_does_not_ring_when_it_was_read_by_then(self, bells: Bells) -> None:
        """The first prompt took it."""
        bells.mail["shop"] = ["shop"]
        bells.doorbell.ring_later("shop")
        bells.read("shop")
        assert await bells.rings("shop", LONG) == []

    async def test_of_the_daemon_tidies_up(self, bells: Bells) -> None:
        """Files of sessions that ended while it was down are removed; the others stay."""
        await bells.doorbell.restore({"blog"})
        assert read("blog")
        assert not read("shop")
        bells.send("blog")
        assert len(await bells.rings("blog", 1)) == 1


class TestTrouble:
    async def test_a_database_error_is_retried(
        self, bells: Bells, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The ring comes as soon as the question can be answered."""
        bells.failures = 2
        bells.send("shop")
        assert (await bells.rings("shop", 5))[0] == pytest.approx(2.05, abs=0.1)
        assert caplog.text.count("The disk is full.") == 2

    async def test_an_error_in_the_home_folder_is_logged_once(
        self, bells: Bells, scratch: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A session that cannot be rung gets its mail at its prompts."""
        blocked = scratch / "blocked"
        blocked.write_text("a file where the folder should be")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CLAUDE_MAILBOX_HOME", str(blocked))
            assert await bells.doorbell.add("one") is None
            assert await bells.doorbell.add("two") is None
        assert caplog.text.count("cannot ring") == 1
        assert await bells.doorbell.add("three") == paths.bell_path("three")

    @pytest.mark.skipif(sys.platform == "win32", reason="there are no such files on Windows")
    @pytest.mark.parametrize("kind", ["link", "hard link", "dead link", "fifo"])
    async def test_anything_in_the_place_of_a_bell_is_replaced(
        self, bells: Bells, scratch: Path, kind: str
    ) -> None:
        """It is not written to, and the session is rung."""
        await bells.listen()
        precious = replace_bell("shop", kind, scratch)
        bells.send("shop")
        assert len(await bells.rings("shop", 1)) == 1
        assert is_plain("shop")
        assert contents(precious) == "mine"
        assert contents(scratch / "nothing") is None

    async def test_a_bell_that_cannot_be_written_does_not_affect_others(
        self, bells: Bells, scratch: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A folder stays where it is; that is logged once."""
        await bells.listen()
        replace_bell("shop", "folder", scratch)
        bells.send("shop")
        bells.send("blog")
        assert len(await bells.rings("blog", 1)) == 1
        assert len(await bells.rings("blog", LONG)) > 0
        assert caplog.text.count("cannot ring") == 1
        os.rmdir(paths.bell_path("shop"))
        bells.read("shop")
        bells.send("shop")
        assert len(await bells.rings("shop", 1)) == 1

    async def test_a_lost_file_comes_back_at_the_start(self, bells: Bells) -> None:
        """A live session needs it; one that is over does not."""
        await bells.listen()
        for session in ("shop", "blog"):
            os.unlink(paths.bell_path(session))
        await bells.doorbell.restore(["shop"])
        assert read("shop")
        assert not read("blog")


@pytest.mark.parametrize(
    "session_id", ["../../etc/passwd", "a/b", "ü", "\ud800", "x" * 300, "", "."]
)
def test_the_file_of_any_id_is_in_the_folder(
    session_id: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id cannot reach out of the folder of the bells, nor be too long for a file's name."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(scratch))
    path = Path(paths.bell_path(session_id))
    assert path.parent == Path(paths.bells_path())
    assert path != Path(paths.bell_path(f"{session_id}_"))
    path.parent.mkdir()
    path.write_text("it can be made")
