"""What is sent to a group: one transaction, a copy for each member, one ring each."""

import pytest

from claude_mailbox.errors import BadRequest, QuotaFull
from claude_mailbox.model.drafts import HIGH, LOW, NORMAL, Draft
from claude_mailbox.model.groups import ALL
from claude_mailbox.model.mail import GroupReceipt
from claude_mailbox.refusals import ConfirmationNeeded, EmptyGroup, KeyReused
from daemon.delivery.helpers import bodies
from daemon.delivery.session_steps import begin
from daemon.kit import World, custody, open_world


async def join(world: World, *mailboxes: str, group: str = "@team") -> None:
    """Let mailboxes join a group."""
    for mailbox in mailboxes:
        await world.broker.groups.join(mailbox, group)


async def send(world: World, draft: Draft) -> GroupReceipt:
    """Send to a group."""
    receipt = await world.broker.send_to_group(draft)
    assert isinstance(receipt, GroupReceipt)
    return receipt


def names(receipt: GroupReceipt) -> list[str]:
    """Return who gets it."""
    return [copy.recipient for copy in receipt.copies]


async def test_every_member_but_the_sender_gets_a_copy(world: World) -> None:
    """Whether or not the sender is a member."""
    await join(world, "a", "b", "c")
    assert names(await send(world, Draft("a", "@team", "from a"))) == ["b", "c"]
    assert names(await send(world, Draft("x", "@team", "from x"))) == ["a", "b", "c"]
    assert bodies(await world.broker.check("a", custody())) == ["from x"]
    assert bodies(await world.broker.check("b", custody())) == ["from a", "from x"]
    assert bodies(await world.broker.check("c", custody())) == ["from a", "from x"]


async def test_each_is_rung_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """50 members: one answer, one commit, one ring each."""
    members = [f"m{number}" for number in range(50)]
    await join(world, *members)
    commits = []
    commit = world.engine.commit
    monkeypatch.setattr(world.engine, "commit", lambda: commits.append(commit()))
    receipt = await send(world, Draft("a", "@team", "hello", is_confirmed=True))
    assert len(commits) == 1
    assert names(receipt) == members
    assert sorted(world.bell.rung) == sorted(members)
    assert [copy.sent_at for copy in receipt.copies] == [receipt.sent_at] * 50


async def test_if_one_member_cannot_get_it_none_does(world: World) -> None:
    """A full mailbox is told of, and nothing is stored."""
    async with open_world(world.place, max_pending_per_mailbox=1) as small:
        await join(small, "b", "c")
        await small.broker.send(Draft("x", "c", "full"))
        with pytest.raises(QuotaFull, match="'c' is full"):
            await small.broker.send_to_group(Draft("a", "@team", "hello"))
        assert (await small.broker.peek("b")).pending == 0
        assert small.bell.rung == ["c"]


async def test_the_copies_are_one_thread(world: World) -> None:
    """That of the first copy."""
    await join(world, "b", "c")
    receipt = await send(world, Draft("a", "@team", "hello"))
    rows = world.query("SELECT id, thread, group_name, copy_of FROM message ORDER BY id")
    first, second = (copy.id for copy in receipt.copies)
    assert rows == [(first, first, "@team", first), (second, first, "@team", first)]


@pytest.mark.parametrize(
    ("group", "urgency", "rings"),
    [
        (ALL, NORMAL, False),
        (ALL, LOW, False),
        (ALL, HIGH, True),
        ("@shop", NORMAL, True),
        ("@shop", LOW, False),
    ],
)
async def test_all_rings_nobody_unless_it_is_urgent(
    world: World, group: str, urgency: str, *, rings: bool
) -> None:
    await begin(world, "shop-1", "shop")
    receipt = await send(world, Draft("a", group, "hello", urgency=urgency))
    assert names(receipt) == ["shop-1"]
    assert world.bell.rung == (["shop-1"] if rings else [])
    assert world.query("SELECT sum(quiet) FROM backlog") == [(0 if rings else 1,)]
    assert bodies(await world.broker.check("shop-1", custody())) == ["hello"]


class TestRefusals:
    async def test_a_group_without_other_members_is_refused(self, world: World) -> None:
        """Or of the sender alone."""
        await join(world, "a")
        for group in ("@team", "@nobody", ALL):
            with pytest.raises(EmptyGroup, match="has no other members"):
                await world.broker.send_to_group(Draft("a", group, "hello"))

    async def test_more_than_five_need_a_confirmation(self, world: World) -> None:
        """The error says who they would be."""
        members = [f"m{number}" for number in range(6)]
        await join(world, *members)
        with pytest.raises(ConfirmationNeeded) as refused:
            await world.broker.send_to_group(Draft("a", "@team", "hello"))
        assert refused.value.recipients == members
        assert world.states() == {}
        assert names(await send(world, Draft("m0", "@team", "five"))) == members[1:]

    async def test_too_many_members_are_refused(self, world: World) -> None:
        async with open_world(world.place, max_recipients=2) as small:
            await join(small, "b", "c", "d")
            with pytest.raises(BadRequest, match=r"3 other members; .* at most 2 \(maxRecipients"):
                await small.broker.send_to_group(Draft("a", "@team", "hello", is_confirmed=True))


class TestKeys:
    async def test_a_repeated_key_repeats_the_answer(self, world: World) -> None:
        """Whoever has joined or left meanwhile."""
        await join(world, "b", "c")
        draft = Draft("a", "@team", "hello", key="k")
        first = await send(world, draft)
        await join(world, "d")
        await world.broker.groups.leave("b", "@team")
        again = await send(world, draft)
        assert again.duplicate
        assert [(copy.id, copy.recipient) for copy in again.copies] == [
            (copy.id, copy.recipient) for copy in first.copies
        ]
        assert sorted(world.bell.rung) == ["b", "c"]

    async def test_another_message_with_the_same_key_is_refused(self, world: World) -> None:
        """Another text, another group, a member alone, and the other way round."""
        await join(world, "b", "c")
        await join(world, "b", group="@other")
        await send(world, Draft("a", "@team", "hello", key="k"))
        for draft in (Draft("a", "@team", "else", key="k"), Draft("a", "@other", "hello", key="k")):
            with pytest.raises(KeyReused):
                await world.broker.send_to_group(draft)
        with pytest.raises(KeyReused):
            await world.broker.send(Draft("a", "b", "hello", key="k"))
        await world.broker.send(Draft("a", "b", "hello", key="alone"))
        with pytest.raises(KeyReused):
            await world.broker.send_to_group(Draft("a", "@team", "hello", key="alone"))


async def test_a_mailbox_of_an_older_version_with_such_a_name_gets_its_mail(world: World) -> None:
    world.connection.execute("INSERT INTO mailbox (name, created_at) VALUES ('@old', 1)")
    receipt = await world.broker.send_to_group(Draft("a", "@old", "hello"))
    assert not isinstance(receipt, GroupReceipt)
    assert receipt.recipient == "@old"
