"""The resource ``mailbox://inbox`` and the prompt ``mail``, with the Python SDK's client."""

import json
from typing import Any

import pytest
import trio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from daemon.mcp.rpc import HANDSHAKE, Rpc
from daemon.mcp.test_python_sdk import connected, modes
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.mail import Mail

INBOX = "mailbox://inbox"


async def read(client: Client) -> dict[str, Any]:
    """Return what the resource has."""
    (content,) = (await client.read_resource(INBOX, cache_mode="bypass")).contents
    value: dict[str, Any] = json.loads(content.text)  # type: ignore[union-attr]
    return value


@modes
async def test_the_inbox_shows_mail_and_keeps_it(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh, mode: str
) -> None:
    """In order, with hidden characters made visible; who reads is not seen either."""
    me, peer = fresh("me"), fresh("peer")
    for body in ("one", "two\u200b"):
        mail.send(peer, me, body)
    async with connected(daemon, mode, **{"X-Mailbox": me}) as client:
        (resource,) = (await client.list_resources()).resources
        shown = await read(client)
        again = await read(client)

    assert resource.uri == INBOX
    assert shown == again
    assert (shown["you"], shown["pending"]) == (me, 2)
    assert [message["body"] for message in shown["messages"]] == ["one", "two\\u200b"]
    assert [message["attempts"] for message in mail.check(me)] == [1, 1]


async def test_a_long_inbox_is_cut(daemon: DaemonProcess, mail: Mail, fresh: Fresh) -> None:
    """It says how many more there are."""
    me = fresh("me")
    for _ in range(5):
        mail.send("peer", me, "x" * 3000)
    async with connected(daemon, "auto", **{"X-Mailbox": me}) as client:
        shown = await read(client)

    assert (len(shown["messages"]), shown["more"], shown["pending"]) == (2, 3, 5)


@modes
async def test_the_prompt_asks_for_the_mail(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh, mode: str
) -> None:
    """It names the mailbox and the tool, and how much waits."""
    me = fresh("me")
    mail.send("peer", me, "hello")
    async with connected(daemon, mode, **{"X-Mailbox": me}) as client:
        (prompt,) = (await client.list_prompts()).prompts
        (message,) = (await client.get_prompt(prompt.name)).messages

    text = message.content.text  # type: ignore[union-attr]
    assert f"You have the mailbox '{me}', with 1 unread." in text
    assert "check_inbox" in text
    assert "hello" not in text
    assert message.role == "user"


@pytest.mark.parametrize("what", ["resource", "prompt"])
async def test_unknown_resources_and_prompts_are_refused(
    daemon: DaemonProcess, fresh: Fresh, what: str
) -> None:
    """And whose inbox it is has to be known."""
    async with connected(daemon, "auto", **{"X-Mailbox": fresh("me")}) as client:
        with pytest.raises(MCPError, match=f"There is no {what}"):
            await (client.read_resource("a:b") if what == "resource" else client.get_prompt("b"))
    async with connected(daemon, "auto") as client:
        with pytest.raises(MCPError, match="Whose inbox"):
            await (client.read_resource(INBOX) if what == "resource" else client.get_prompt("mail"))


async def test_a_subscriber_hears_of_changes(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh
) -> None:
    """Of his own mailbox alone: when mail comes, and when it is taken."""
    me, other = fresh("me"), fresh("other")
    with trio.fail_after(60):
        async with (
            connected(daemon, "2026-07-28", **{"X-Mailbox": me}) as client,
            client.listen(resource_subscriptions=[INBOX]) as subscription,
        ):
            events = aiter(subscription)
            mail.send("peer", other, "not mine")
            for body in ("one", "two"):
                mail.send("peer", me, body)
                assert await anext(events) == ResourceUpdated(INBOX)
                assert (await read(client))["messages"][-1]["body"] == body
            mail.check(me)
            assert await anext(events) == ResourceUpdated(INBOX)
            assert (await read(client))["pending"] == 0


# The SDK's client leaves its generators to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_subscription_ends_with_the_daemon(fresh: Fresh) -> None:
    """It does not keep it from stopping."""
    with DaemonProcess() as process, trio.fail_after(60):
        async with (
            connected(process, "2026-07-28", **{"X-Mailbox": fresh("me")}) as client,
            client.listen(resource_subscriptions=[INBOX]) as subscription,
        ):
            assert await trio.to_thread.run_sync(process.stop) == 0
            assert [event async for event in subscription] == []


def test_opencode_is_told_of_no_resources(rpc: Rpc) -> None:
    """OpenCode gives its model three tools as soon as a server has some."""

    def capabilities(client: str) -> set[str]:
        info = {"name": client, "version": "1"}
        params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": info}
        return set(rpc.ask("initialize", params)["capabilities"])

    assert capabilities("opencode") == {"tools", "prompts"}
    assert capabilities("claude-code") == {"tools", "prompts", "resources"}
