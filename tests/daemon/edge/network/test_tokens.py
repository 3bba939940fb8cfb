"""Tokens: what is kept, who gets in, and for how long."""

import pytest
import trio

from claude_mailbox.daemon.edge.network.tokens import TRIES, TRIES_SECONDS, Tokens
from claude_mailbox.model.tokens import DAY_MILLISECONDS
from claude_mailbox.refusals import NotAllowed, TokenInvalid, TooManyTries
from daemon.kit import World, virtual_clock

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def tokens(world: World) -> Tokens:
    """None yet."""
    return Tokens(world.ledger, virtual_clock)


async def test_the_text_of_a_token_is_not_in_the_database(world: World, tokens: Tokens) -> None:
    """Nor its secret part, in any column."""
    _, text = await tokens.create(["web-*"], DAY_MILLISECONDS)
    (row,) = world.connection.execute("SELECT * FROM token")

    secret = text.rpartition("_")[2]
    assert not any(secret in str(value) for value in row)


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        ("web-1", True),
        ("web-", True),
        ("db", True),
        ("web", False),
        ("Web-1", False),
        ("db-1", False),
        ("user", False),
    ],
)
async def test_a_grant_is_for_what_its_patterns_match(
    tokens: Tokens, name: str, is_allowed: bool
) -> None:
    """A star stands for any text; what belongs to the daemon is nobody's."""
    _, text = await tokens.create(["web-*", "db"], DAY_MILLISECONDS)
    grant = await tokens.grant(text, HERE)

    if is_allowed:
        grant.check(name)
    else:
        with pytest.raises(NotAllowed, match=r"web-\* db"):
            grant.check(name)


async def test_a_token_for_everything_is_not_for_the_users_mailbox(tokens: Tokens) -> None:
    """Only this machine speaks for its user."""
    _, text = await tokens.create(["*"], DAY_MILLISECONDS)
    grant = await tokens.grant(text, HERE)

    with pytest.raises(NotAllowed):
        grant.check("user")


async def test_wrong_tokens_are_refused(tokens: Tokens) -> None:
    """Another secret, another id, and what is no token at all."""
    token, text = await tokens.create(["*"], DAY_MILLISECONDS)
    changed = text[:-1] + ("A" if text[-1] != "A" else "B")
    for number, wrong in enumerate(
        (changed, text[:-1], text.replace(token.id, "0" * 12), token.id, "", "cmb_", "\udcff" * 9)
    ):
        with pytest.raises(TokenInvalid):
            await tokens.grant(wrong, f"192.0.2.{number}")


async def test_an_expired_token_is_refused(tokens: Tokens) -> None:
    """And so does what runs with it."""
    _, text = await tokens.create(["*"], 60_000)
    grant = await tokens.grant(text, HERE)
    began = trio.current_time()

    with tokens.using(grant):
        await trio.sleep_forever()

    assert trio.current_time() - began == pytest.approx(60)
    with pytest.raises(TokenInvalid, match="expired"):
        await tokens.grant(text, HERE)


async def test_revoking_ends_requests_at_once(tokens: Tokens) -> None:
    """Of that token alone."""
    token, text = await tokens.create(["*"], DAY_MILLISECONDS)
    _, other = await tokens.create(["*"], DAY_MILLISECONDS)
    grant = await tokens.grant(text, HERE)
    with tokens.using(await tokens.grant(other, HERE)) as untouched:
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with tokens.using(grant):
                    await trio.sleep_forever()

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert await tokens.revoke(token.id)
        assert not untouched.cancel_called
    with pytest.raises(TokenInvalid):
        await tokens.grant(text, HERE)
    assert not await tokens.revoke(token.id)


async def test_the_last_use_is_kept_to_the_minute(tokens: Tokens) -> None:
    """So that a busy client does not cost a write for each request."""
    _, text = await tokens.create(["*"], DAY_MILLISECONDS)
    assert [each.last_used_at for each in await tokens.all()] == [None]
    await tokens.grant(text, HERE)
    (first,) = [each.last_used_at for each in await tokens.all()]
    await trio.sleep(30)
    await tokens.grant(text, HERE)
    assert [each.last_used_at for each in await tokens.all()] == [first]
    await trio.sleep(31)
    await tokens.grant(text, HERE)
    (later,) = [each.last_used_at for each in await tokens.all()]

    assert first is not None
    assert later == first + 61_000


async def test_failed_tries_are_limited(tokens: Tokens) -> None:
    """For the address that they come from, for a minute; a token that was right there stays good."""
    _, text = await tokens.create(["*"], DAY_MILLISECONDS)
    _, other = await tokens.create(["*"], DAY_MILLISECONDS)
    await tokens.grant(text, HERE)
    for _ in range(TRIES):
        with pytest.raises(TokenInvalid):
            await tokens.grant("cmb_wrong_wrong", HERE)

    with pytest.raises(TooManyTries):
        await tokens.grant("cmb_wrong_wrong", HERE)
    with pytest.raises(TooManyTries):
        await tokens.grant(other, HERE)
    await tokens.grant(text, HERE)
    await tokens.grant(other, ELSEWHERE)
    await trio.sleep(TRIES_SECONDS + 1)
    await tokens.grant(other, HERE)
