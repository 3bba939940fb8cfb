"""Who was here when: without a commit for every request."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.errors import Unavailable
from claude_mailbox.model.drafts import Draft
from daemon.kit import EPOCH, World


def written(world: World) -> dict[str, int | None]:
    """Return what the database knows, past the connection's own changes."""
    return dict(world.connection.execute("SELECT name, last_seen_at FROM mailbox").fetchall())


class TestTouch:
    async def test_a_new_name_gets_its_mailbox(self, world: World) -> None:
        """A new name gets its mailbox."""
        assert await world.presence.touch("a") == "a"
        assert written(world) == {"a": EPOCH}
        assert repr(world.presence) == "<Presence: 1 names, 1 unwritten>"

    async def test_later_uses_need_no_job(self, world: World) -> None:
        """They are kept in memory; with the ledger closed it still works."""
        await world.presence.touch("a")
        await trio.sleep(5)
        world.ledger.close()
        assert await world.presence.touch("a") == "a"
        assert written(world) == {"a": EPOCH}
        assert world.presence.last_seen("a") == EPOCH + 5000

    async def test_a_former_name_counts_for_the_present_one(self, world: World) -> None:
        """Counts for the present one."""
        await world.presence.touch("old")
        await world.broker.mailboxes.rename("old", "new")
        await trio.sleep(5)
        assert await world.presence.touch("old") == "new"
        await world.presence.flush()
        assert written(world) == {"new": EPOCH + 5000}

    @pytest.mark.parametrize("attempt", range(10))
    async def test_a_rename_during_a_touch_is_noticed_by_the_next(
        self, world: World, attempt: int
    ) -> None:
        """What was found out before a rename is not believed after it."""
        await world.broker.send(Draft("x", "old", "1"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.presence.touch, "old")
            nursery.start_soon(world.broker.mailboxes.rename, "old", "new")
        assert await world.presence.touch("old") == "new"

    @pytest.mark.parametrize("attempt", range(10))
    async def test_a_deletion_during_a_touch_is_noticed_by_the_next(
        self, world: World, attempt: int
    ) -> None:
        """Whoever comes after it is registered again."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.presence.touch, "a")
            nursery.start_soon(world.broker.mailboxes.delete, "a")
        await world.presence.touch("a")
        assert list(written(world)) == ["a"]

    async def test_a_cancelled_touch_caches_nothing(self, world: World) -> None:
        """Leaves nothing half known."""
        with trio.CancelScope() as scope:
            scope.cancel()
            await world.presence.touch("a")
        assert await world.presence.touch("a") == "a"
        assert list(written(world)) == ["a"]


class TestFlush:
    async def test_writes_what_is_newer_than_the_database(self, world: World) -> None:
        """What is newer than the database is written, what is older is not."""
        for name in "ab":
            await world.presence.touch(name)
        await trio.sleep(9)
        await world.presence.touch("a")
        await world.presence.flush()
        assert written(world) == {"a": EPOCH + 9000, "b": EPOCH}
        assert repr(world.presence) == "<Presence: 2 names, 0 unwritten>"

    async def test_without_changes_there_is_no_job(self, world: World) -> None:
        """It returns though the ledger is closed."""
        world.ledger.close()
        await world.presence.flush()

    async def test_a_failure_keeps_what_is_unwritten(self, world: World) -> None:
        """Newer sights win over what comes back."""
        await world.presence.touch("a")
        await world.presence.touch("b")
        await trio.sleep(1)

        with world.read_only():
            async with trio.open_nursery() as nursery:

                async def flush() -> None:
                    with pytest.raises(Unavailable):
                        await world.presence.flush()

                nursery.start_soon(flush)
                await trio.lowlevel.checkpoint()
                world.presence.note("b")
        await wait_all_tasks_blocked()
        assert world.presence.last_seen("a") == EPOCH
        assert world.presence.last_seen("b") == EPOCH + 1000
        await world.presence.flush()
        assert written(world) == {"a": EPOCH, "b": EPOCH + 1000}

    async def test_presence_of_a_deleted_mailbox_does_not_make_it_again(self, world: World) -> None:
        """A sight of a deleted mailbox brings nothing back."""
        await world.presence.touch("a")
        await world.broker.mailboxes.delete("a")
        world.presence.note("a")
        await world.presence.flush()
        assert written(world) == {}


class TestPresent:
    async def test_a_former_name_leads_to_the_present_one_and_an_unknown_name_to_itself(
        self, world: World
    ) -> None:
        """A former name leads to the present one; an unknown one to itself, and is not made."""
        await world.presence.touch("old")
        await world.broker.mailboxes.rename("old", "new")
        assert await world.presence.present("old") == "new"
        assert await world.presence.present("new") == "new"
        assert await world.presence.present("unknown") == "unknown"
        assert list(written(world)) == ["new"]

    async def test_a_known_name_needs_no_job(self, world: World) -> None:
        """It was looked up when its owner was seen, and nothing was renamed since."""
        await world.presence.touch("a")
        world.ledger.close()
        assert await world.presence.present("a") == "a"

    async def test_it_notes_no_presence(self, world: World) -> None:
        await world.presence.touch("a")
        await world.presence.flush()
        await trio.sleep(5)
        await world.presence.present("a")
        assert world.presence.last_seen("a") is None
