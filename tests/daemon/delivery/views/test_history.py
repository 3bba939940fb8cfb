"""The index for the search is filled behind the sends, whatever comes in between."""

from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from claude_mailbox.daemon.delivery.views.history import DELAY_SECONDS, RETRY_SECONDS
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.history import HistoryPage, HistoryQuery
from daemon.kit import World, open_world


def unindexed(world: World) -> int:
    """Return how many messages are not in the index."""
    last = world.connection.execute("SELECT coalesce(max(id), 0) FROM message").get
    count: int = world.connection.execute(
        "SELECT sum(min(upto, ?) - above) FROM search_gap", (last,)
    ).get
    return count


async def search(world: World, words: str) -> HistoryPage:
    """Search in the mailbox *b*."""
    return await world.broker.history.page("b", HistoryQuery(words=words))


async def test_messages_are_indexed_a_while_after_they_were_sent(
    tmp_path: Path, autojump_clock: object
) -> None:
    """All of a burst in one go."""
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        nursery.start_soon(world.broker.history.serve)
        await wait_all_tasks_blocked()
        for number in range(250):
            await world.broker.send(Draft("a", "b", f"word {number}"))
        assert unindexed(world) == 250
        await trio.sleep(DELAY_SECONDS * 2)
        assert unindexed(world) == 0
        nursery.cancel_scope.cancel()


async def test_what_a_former_run_left_is_indexed_at_the_start(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.send(Draft("a", "b", "word"))
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        assert unindexed(world) == 1
        nursery.start_soon(world.broker.history.serve)
        await wait_all_tasks_blocked()
        assert unindexed(world) == 0
        nursery.cancel_scope.cancel()


async def test_history_is_the_same_before_during_and_after_the_note_of_it(
    tmp_path: Path, autojump_clock: object
) -> None:
    """Mail to oneself, hidden mail and pages included."""

    async def pages() -> list[list[int]]:
        queries = [
            HistoryQuery(),
            HistoryQuery(peer="a"),
            HistoryQuery(peer="b"),
            HistoryQuery(peer="c"),
            HistoryQuery(limit=3),
            HistoryQuery(before=7, limit=4),
        ]
        found = [await world.broker.history.page("b", query) for query in queries]
        return [[entry.status.id for entry in page.entries] for page in found]

    async with open_world(tmp_path) as world:
        mail = ["ab", "ba", "bb", "ac", "cb", "ab", "bc", "bb", "ca", "ab"]
        for number, (sender, to) in enumerate(mail):
            delay = 60.0 if number in {4, 5} else None
            await world.broker.send(Draft(sender, to, "x", delay=delay))
        before = await pages()
        assert before[0] == [10, 8, 7, 3, 2, 1]
        assert before[1:4] == [[10, 2, 1], [8, 3], [7]]
        with world.connection:
            world.connection.execute("UPDATE correspondence_end SET message_id = 4")
            world.connection.execute(
                "INSERT INTO correspondence SELECT recipient_id, id, sender_id FROM message"
                " WHERE id <= 4 UNION SELECT sender_id, id, recipient_id FROM message WHERE id <= 4"
            )
        assert await pages() == before
        await search(world, "x")
        assert world.connection.execute("SELECT count(*) FROM correspondence").get == 18
        assert await pages() == before


async def test_a_search_has_the_rest_indexed(tmp_path: Path, autojump_clock: object) -> None:
    """So it finds what was sent a moment ago."""
    async with open_world(tmp_path) as world:
        await world.broker.send(Draft("a", "b", "word"))
        page = await search(world, "word")
        assert [entry.body for entry in page.entries] == ["word"]
        assert unindexed(world) == 0


async def test_when_too_much_is_not_indexed_the_newest_is_found(
    tmp_path: Path, autojump_clock: object
) -> None:
    """And the page says that there may be more, until there is not."""
    async with open_world(tmp_path) as world:
        with world.connection:
            world.connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"
                " INSERT INTO message (recipient_id, sender_id, recipient, sender, sent_at)"
                " SELECT 1, 1, 'b', 'b', i FROM n"
            )
            world.connection.execute(
                "INSERT INTO mailbox (id, name, created_at) VALUES (1, 'b', 1)"
            )
            world.connection.execute(
                "INSERT INTO body SELECT id, iif(id IN (7, 8500), 'rare', 'word') FROM message"
            )
        page = await search(world, "rare")
        assert ([entry.status.id for entry in page.entries], page.has_more) == ([8500], True)
        await world.broker.send(Draft("a", "b", "rare"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.broker.history.serve)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        page = await search(world, "rare")
        assert [entry.status.id for entry in page.entries] == [9001, 8500, 7]
        assert not page.has_more


async def test_a_database_that_cannot_be_written_is_tried_again(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        nursery.start_soon(world.broker.history.serve)
        await world.broker.send(Draft("a", "b", "word"))
        with world.read_only():
            await trio.sleep(DELAY_SECONDS * 2)
        assert unindexed(world) == 1
        await trio.sleep(RETRY_SECONDS)
        assert unindexed(world) == 0
        nursery.cancel_scope.cancel()
