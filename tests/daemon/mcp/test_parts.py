"""Messages that are longer than one result: handed out in parts, delivered with the last."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.subagents import SubagentCalls
from claude_mailbox.daemon.edge.output.handover import CUSTODY_KEY, Custody
from claude_mailbox.daemon.mcp.cancellation import CancellableCalls
from claude_mailbox.daemon.mcp.tools.handlers import ToolRequest, Tools
from claude_mailbox.daemon.mcp.tools.parts import (
    HELD_LIMIT,
    HELD_SECONDS,
    LongMessages,
    cut,
    json_size,
)
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import Delivery
from daemon.kit import World, open_world
from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from daemon.mcp.test_fitting import size
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.mail import Mail

eras = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])
LONG = "".join(f"{number:06d} žluť 😀\n" for number in range(1500))


def read_on(rpc: Rpc, name: str, first: Any, **options: Any) -> list[Any]:
    """Return all parts of a message, of which the *first* is there."""
    parts = [first]
    while parts[-1]["part"] < parts[-1]["parts"]:
        arguments = {"name": name, "part": parts[-1]["part"] + 1}
        parts += rpc.call("check_inbox", arguments, **options)["messages"]
    return parts


@eras
@pytest.mark.parametrize("tool", ["check_inbox", "watch"])
def test_a_long_message_comes_in_parts(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str, tool: str
) -> None:
    """Each says which it is and fits; together they are the message."""
    name = fresh("me")
    receipt = mail.send("sender", name, LONG)
    mail.send("sender", name, "short")

    answer = rpc.call(tool, {"name": name}, era=era)
    first = answer["message"] if tool == "watch" else answer["messages"][0]
    parts = read_on(rpc, name, first, era=era)

    assert size(answer) <= 8000
    assert answer["remaining"] == 2
    assert "part 2" in answer["next"]
    assert [part["part"] for part in parts] == list(range(1, parts[0]["parts"] + 1))
    assert {part["id"] for part in parts} == {receipt["id"]}
    assert {part["attempts"] for part in parts} == {1}
    assert "".join(part["body"] for part in parts) == LONG
    assert rpc.call("check_inbox", {"name": name}, era=era)["messages"][0]["body"] == "short"
    assert mail.peek(name)["pending"] == 0


@eras
def test_results_say_what_remains(rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
    """The message itself counts until its last part, which asks for no next one."""
    name = fresh("me")
    mail.send("sender", name, "x" * 15_000)
    mail.send("sender", name, "after")

    answers = [rpc.call("check_inbox", {"name": name, "part": part}, era=era) for part in (1, 2)]

    assert [answer["remaining"] for answer in answers] == [2, 1]
    assert ["next" in answer for answer in answers] == [True, False]


@eras
def test_between_its_parts_a_message_is_leased(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str
) -> None:
    """It is neither delivered nor waiting."""
    name = fresh("me")
    mail.send("sender", name, LONG)

    rpc.call("check_inbox", {"name": name}, era=era)

    assert mail.check(name) == []
    assert mail.delete(name) is False


@eras
@pytest.mark.parametrize("tool", ["check_inbox", "watch"])
def test_a_call_without_part_starts_again(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str, tool: str
) -> None:
    """Before everything that came later; it counts as handed out before."""
    name = fresh("me")
    for body in (LONG, "short"):
        mail.send("sender", name, body)
    parts = rpc.call("check_inbox", {"name": name}, era=era)["messages"][0]["parts"]
    for part in range(2, parts):
        rpc.call("check_inbox", {"name": name, "part": part}, era=era)

    answer = rpc.call(tool, {"name": name}, era=era)

    first = answer["message"] if tool == "watch" else answer["messages"][0]
    assert (first["part"], first["attempts"]) == (1, 2)
    assert "".join(part["body"] for part in read_on(rpc, name, first, era=era)) == LONG


@eras
def test_a_part_can_be_had_again_and_none_can_be_skipped(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str
) -> None:
    """A result may get lost behind us."""
    name = fresh("me")
    mail.send("sender", name, LONG)
    first = rpc.call("check_inbox", {"name": name}, era=era)["messages"][0]

    skipped = rpc.refuse("check_inbox", {"name": name, "part": first["parts"]}, era=era)
    twice = [rpc.call("check_inbox", {"name": name, "part": 2}, era=era) for _ in range(2)]

    assert "part 2" in skipped
    assert twice[0] == twice[1]
    assert "".join(part["body"] for part in read_on(rpc, name, first, era=era)) == LONG


@eras
def test_a_later_part_without_the_first_is_refused(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str
) -> None:
    """The sentence says how to begin; nothing is taken."""
    name = fresh("me")
    mail.send("sender", name, LONG)

    assert "'part'" in rpc.refuse("check_inbox", {"name": name, "part": 2}, era=era)
    assert mail.peek(name)["pending"] == 1


@eras
def test_a_restart_between_the_parts_releases_the_message(fresh: Fresh, era: str) -> None:
    """The message is back in its place at once."""
    name = fresh("me")
    with DaemonProcess() as daemon:
        wait_until_ready(daemon)
        with Mail(("127.0.0.1", daemon.port)) as mail, Rpc(mail.address) as rpc:
            mail.send("sender", name, LONG)
            rpc.call("check_inbox", {"name": name}, era=era)
        daemon.kill()
        daemon.start()
        with Mail(("127.0.0.1", daemon.port)) as mail:
            (message,) = mail.check(name)

    assert (message["body"], message["attempts"]) == (LONG, 2)


@eras
def test_the_last_part_names_the_explicit_lease(
    rpc: Rpc, mail: Mail, fresh: Fresh, era: str
) -> None:
    """The lease is named with the last part, and not before: till then there is nothing to ack."""
    name = fresh("me")
    mail.send("sender", name, "x" * 15_000)
    headers = []
    for part in (1, 2):
        arguments = {"name": name, "part": part}
        rpc.begin_call("check_inbox", arguments, era=era, X_Mailbox_Lease="60")
        headers.append(rpc.message().headers)

    assert "x-mailbox-leases" not in headers[0]
    token = headers[1]["x-mailbox-leases"]
    assert mail.outcome("ack", name, token)["done"] == [token]


class TestResponsesThatDoNotArrive:
    """Without sockets: a custody is concluded as `Handover` does it."""

    @staticmethod
    async def part(tools: Tools, part: int) -> tuple[Custody, Any]:
        """Call for a part; return the custody and the message in the result."""
        custody = Custody()
        request = ToolRequest({"headers": [], CUSTODY_KEY: custody}, 1, None, None)
        result = await tools.call(request, "check_inbox", {"name": "me", "part": part})
        assert result.structured is not None, result.text
        return custody, result.structured["messages"][0]  # type: ignore[index]

    @pytest.mark.parametrize("lost", [1, 2, 3])
    async def test_a_lost_part_releases_the_message(self, tmp_path: Path, lost: int) -> None:
        """Whichever part it was, the last one included; it is read from the start."""
        async with open_world(tmp_path) as world:
            tools = create_tools(world)
            await world.broker.send(Draft("sender", "me", "x" * 20_000))
            for number in range(1, lost + 1):
                custody, message = await self.part(tools, number)
                assert list(world.states().values()) == ["leased"]
            assert message["parts"] == 3

            await world.broker.leases.release(custody.tokens)

            assert list(world.states().values()) == ["waiting"]
            _, message = await self.part(tools, 1)
            assert (message["part"], message["attempts"]) == (1, 2)

    async def test_only_the_last_part_settles(self, tmp_path: Path) -> None:
        """The leases of the others are left alone when their responses have left."""
        async with open_world(tmp_path) as world:
            tools = create_tools(world)
            await world.broker.send(Draft("sender", "me", "x" * 20_000))

            leases = [(await self.part(tools, number))[0].lease_seconds for number in (1, 2, 3)]

            assert leases == [HELD_SECONDS, HELD_SECONDS, None]

    async def test_a_message_whose_parts_are_not_asked_for_is_released(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The lease is kept for a while, and then the message is back."""
        async with open_world(tmp_path) as world:
            tools = create_tools(world)
            await world.broker.send(Draft("sender", "me", "x" * 20_000))
            await self.part(tools, 1)
            states = []
            for _ in range(2):
                for _ in range(2):  # only what is suspect twice is released
                    await world.housekeeping.release_orphans(tools.results.long_messages.held())
                states += world.states().values()
                await trio.sleep(HELD_SECONDS)

            assert states == ["leased", "waiting"]


def create_tools(world: World) -> Tools:
    """Return the tools of a daemon without sockets."""

    async def nobody(_: str) -> None:
        return None

    callers = Callers(world.presence, nobody, nobody)
    return Tools(world.broker, callers, CancellableCalls(), SubagentCalls())


class TestLongMessages:
    """What is kept between the calls."""

    def test_a_message_is_held_for_some_time(self) -> None:
        """Each part gives it that time again."""
        now = 0.0
        messages = LongMessages(lambda: now)
        messages.begin("me", delivery(1), PIECES)
        now = HELD_SECONDS - 1
        messages.continue_with("me", 2)
        now += HELD_SECONDS - 1
        assert messages.held() == ["1-lease"]

        now += 1

        assert messages.held() == []
        with pytest.raises(BadRequest):
            messages.continue_with("me", 3)

    def test_only_so_many_are_held(self) -> None:
        """The oldest makes room, and is not held any more."""
        messages = LongMessages(lambda: 0.0)
        for number in range(HELD_LIMIT + 1):
            messages.begin(f"mailbox {number}", delivery(number), PIECES)

        assert messages.held() == [f"{number}-lease" for number in range(1, HELD_LIMIT + 1)]


PIECES = ["x" * 100] * 10


def delivery(number: int) -> Delivery:
    """Return a message that makes ten parts of a hundred characters."""
    return Delivery(number, "sender", "x" * 1000, 0, 1, f"{number}-lease")


@given(
    text=st.text(st.sampled_from('x\n"\\\0é漢😀'), min_size=1, max_size=500),
    room=st.integers(6, 200),
)
def test_a_cut_loses_nothing(text: str, room: int) -> None:
    """The pieces are the text; each has its room, and none is empty."""
    pieces = cut(text, room)

    assert "".join(pieces) == text
    assert all(pieces)
    assert all(json_size(piece) - 2 <= room for piece in pieces)
