"""The Python SDK's client, in both eras, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
import trio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from daemon.mcp.conftest import wait_until_ready
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.mail import Mail

# "legacy" shakes hands, "auto" asks with server/discover, a version takes it for granted.
MODES = ["legacy", "auto", "2026-07-28"]
modes = pytest.mark.parametrize("mode", MODES)


@asynccontextmanager
async def connected(daemon: DaemonProcess, mode: str, **headers: str) -> AsyncIterator[Client]:
    """Connect as a program does that uses the SDK."""
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{daemon.url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


def content(result: CallToolResult) -> dict:
    """Return the structured content of a good result."""
    assert not result.is_error, result
    assert isinstance(result.structured_content, dict)
    return result.structured_content


@modes
async def test_all_tools(daemon: DaemonProcess, fresh: Fresh, mode: str) -> None:
    """One conversation through all of them."""
    me, peer, new = fresh("me"), fresh("peer"), fresh("new")
    async with connected(daemon, mode) as client:
        tools = await client.list_tools()
        sent = content(await client.call_tool("send", {"from": peer, "to": me, "body": "žluť"}))
        peeked = content(await client.call_tool("peek_inbox", {"name": me}))
        listed = content(await client.call_tool("list_mailboxes", {"name": me}))
        renamed = content(await client.call_tool("rename", {"current_name": me, "new_name": new}))
        checked = content(await client.call_tool("check_inbox", {"name": new}))
        watched = content(await client.call_tool("watch", {"name": new, "timeout": 0}))
        history = content(await client.call_tool("history", {"name": new}))
        status = content(await client.call_tool("message", {"id": sent["id"], "name": peer}))

    assert len(tools.tools) == 11
    assert sent["recipient"]["known"] is False
    assert peeked == {"pending": 1, "oldestAt": sent["sentAt"]}
    assert listed["you"] == me
    assert renamed["messagesTransferred"] == 1
    assert [message["body"] for message in checked["messages"]] == ["žluť"]
    assert watched == {"message": None}
    assert [message["body"] for message in history["messages"]] == ["žluť"]
    assert (status["state"], status["by"]) == ("delivered", "mcp")


@modes
async def test_identity_by_header(daemon: DaemonProcess, fresh: Fresh, mode: str) -> None:
    """What ``headers`` in a client's configuration do."""
    me = fresh("me")
    async with connected(daemon, mode, **{"X-Mailbox": me}) as client:
        sent = content(await client.call_tool("send", {"to": me, "body": "note to self"}))
        checked = content(await client.call_tool("check_inbox"))

    assert sent["from"] == me
    assert checked["messages"][0]["from"] == me


@modes
async def test_errors_are_results(daemon: DaemonProcess, mode: str) -> None:
    """A model can read them, and the connection goes on."""
    async with connected(daemon, mode) as client:
        refused = await client.call_tool("check_inbox")
        allowed = await client.call_tool("list_mailboxes")

    assert refused.is_error
    assert "'name'" in refused.content[0].text
    assert not allowed.is_error


@pytest.mark.parametrize("mode", MODES[:2])
async def test_a_restart_between_two_calls(fresh: Fresh, mode: str) -> None:
    """The connected client notices nothing."""
    me = fresh("me")
    with DaemonProcess() as daemon:
        await trio.to_thread.run_sync(wait_until_ready, daemon)
        async with connected(daemon, mode) as client:
            await client.call_tool("send", {"from": me, "to": me, "body": "before"})
            await trio.to_thread.run_sync(lambda: daemon.restart(same_port=True))
            checked = content(await client.call_tool("check_inbox", {"name": me}))

    assert [message["body"] for message in checked["messages"]] == ["before"]


@modes
async def test_a_cancelled_watch_takes_no_mail(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh, mode: str
) -> None:
    """The program loses interest and stays connected; what comes then is kept for later."""
    me = fresh("me")
    async with connected(daemon, mode) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.call_tool, "watch", {"name": me, "timeout": 50})
        await trio.to_thread.run_sync(mail.wait_for_waiters, 1)

        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(mail.wait_for_waiters, 0)
            mail.send("sender", me)
            checked = content(await client.call_tool("check_inbox", {"name": me}))

    assert [message["attempts"] for message in checked["messages"]] == [1]


@modes
async def test_a_watch_that_the_client_times_out(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh, mode: str
) -> None:
    """The SDK's own time-out is shorter than the call."""
    me = fresh("me")
    async with connected(daemon, mode) as client:
        with pytest.raises(Exception, match=r"(?i)timed out"):
            await client.call_tool("watch", {"name": me, "timeout": 50}, 0.2)
        await trio.to_thread.run_sync(mail.wait_for_waiters, 0)
        mail.send("sender", me)
        checked = content(await client.call_tool("check_inbox", {"name": me}))

    assert [message["attempts"] for message in checked["messages"]] == [1]


@modes
async def test_calls_at_once(daemon: DaemonProcess, fresh: Fresh, mode: str) -> None:
    """One client, many calls in flight."""
    me = fresh("me")
    taken: list[int] = []
    async with connected(daemon, mode) as client:

        async def watch() -> None:
            answer = content(await client.call_tool("watch", {"name": me, "timeout": 50}))
            taken.append(answer["message"]["id"])

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(watch)
            sent = [
                content(await client.call_tool("send", {"from": me, "to": me, "body": "x"}))["id"]
                for _ in range(8)
            ]

    assert sorted(taken) == sent
