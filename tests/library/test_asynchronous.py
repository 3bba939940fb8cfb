"""`AsyncMailbox` on trio and on asyncio, with a real daemon."""

import anyio
import pytest

from claude_mailbox import AsyncMailbox, Mailbox
from library.conftest import Run
from support.daemon import DaemonProcess


def test_send_check_watch_and_history(home: DaemonProcess, run: Run) -> None:
    """As in `Mailbox`."""

    async def main() -> None:
        async with AsyncMailbox("alice") as alice, AsyncMailbox("bob") as bob:
            await alice.send("bob", "one")
            async with await bob.check() as messages:
                assert [message.body for message in messages] == ["one"]
            assert await bob.watch(0) is None
            await alice.send("bob", "two")
            message = await bob.watch(20)
            assert message is not None
            with pytest.raises(KeyError):
                async with message:
                    raise KeyError
            (again,) = await bob.check()
            assert again.attempts == 2
            await again.extend(9)
            await again.ack()
            assert [entry.state for entry in await bob.history()] == ["delivered"] * 2

    run(main)


def test_follow_goes_on_after_a_restart_and_a_rename(home: DaemonProcess, run: Run) -> None:
    """Each message once."""

    async def main() -> None:
        async with AsyncMailbox("alice") as alice, AsyncMailbox("bob") as bob:
            await alice.send("bob", "one")
            seen = []
            async for message in bob.follow():
                async with message:
                    seen.append(message.body)
                if message.body == "one":
                    await anyio.to_thread.run_sync(home.restart)
                    await alice.send("bob", "two")
                elif message.body == "two":
                    async with AsyncMailbox("bob") as other:
                        await other.rename("robert")
                    await alice.send("robert", "three")
                else:
                    break
            assert seen == ["one", "two", "three"]
            assert bob.name == "robert"

    run(main)


def test_a_cancelled_handler_releases_its_message(home: DaemonProcess, run: Run) -> None:
    """Though everything that waits is cancelled."""

    async def main() -> None:
        async with AsyncMailbox("alice") as alice, AsyncMailbox("bob") as bob:
            await alice.send("bob", "one")
            with anyio.CancelScope() as scope:
                async for message in bob.follow():
                    async with message:
                        scope.cancel()
                        await anyio.sleep_forever()
            (again,) = await bob.check()
            assert again.attempts == 2

    run(main)


def test_what_is_left_goes_back_when_the_mailbox_is_closed(home: DaemonProcess, run: Run) -> None:
    """Also when the program is cancelled."""

    async def main() -> None:
        async with AsyncMailbox("alice") as alice, AsyncMailbox("other") as other:
            await alice.send("bob", "hello")
            with anyio.move_on_after(0.5):
                async with AsyncMailbox("bob") as bob:
                    assert await bob.watch(5) is not None
                    await other.watch(60)
            async with AsyncMailbox("bob") as bob:
                (message,) = await bob.check()
                assert message.attempts == 2

    run(main)


def test_two_streams_can_be_followed_at_once(home: DaemonProcess, run: Run) -> None:
    """Each waits without keeping the other from it."""

    async def main() -> None:
        async def take(name: str) -> None:
            async with AsyncMailbox(name) as mailbox:
                async for message in mailbox.follow():
                    async with message:
                        found[name] = message.body
                    return

        found: dict[str, str] = {}
        async with AsyncMailbox("alice") as alice, anyio.create_task_group() as tasks:
            tasks.start_soon(take, "bob")
            tasks.start_soon(take, "carl")
            await alice.send("carl", "for carl")
            await alice.send("bob", "for bob")
        assert found == {"bob": "for bob", "carl": "for carl"}

    run(main)


def test_it_works_over_tcp(home: DaemonProcess, run: Run) -> None:
    """By URL."""

    async def main() -> None:
        async with AsyncMailbox("alice", url=home.url) as alice:
            await alice.send("bob", "one")

    run(main)
    with Mailbox("bob", url=f"unix:{home.socket_path}") as bob:
        assert [message.body for message in bob.check()] == ["one"]
