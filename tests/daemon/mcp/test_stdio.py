"""``mcp-stdio`` with the Python SDK's client, in both eras."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.subscriptions import ResourceUpdated

from daemon.mcp.conftest import wait_until_ready
from daemon.mcp.test_inbox import INBOX
from daemon.mcp.test_python_sdk import content
from support.daemon import DaemonProcess
from wire.conftest import Fresh
from wire.mail import Mail

modes = pytest.mark.parametrize("mode", ["legacy", "auto"])


@asynccontextmanager
async def connected(daemon: DaemonProcess, mode: str, *arguments: str) -> AsyncIterator[Client]:
    """Start ``mcp-stdio`` and connect to it."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "claude_mailbox", "mcp-stdio", *arguments],
        env=daemon.environment,
    )
    async with Client(server, mode=mode) as client:
        yield client


@modes
async def test_all_tools(daemon: DaemonProcess, fresh: Fresh, mode: str) -> None:
    """The same as over HTTP; ``--name`` is the identity."""
    me, peer, new = fresh("me"), fresh("peer"), fresh("new")
    async with connected(daemon, mode, "--name", me) as client:
        tools = await client.list_tools()
        sent = content(
            await client.call_tool("send", {"from": peer, "to": me, "body": "žluť\nline"})
        )
        peeked = content(await client.call_tool("peek_inbox"))
        listed = content(await client.call_tool("list_mailboxes"))
        renamed = content(await client.call_tool("rename", {"new_name": new}))
        checked = content(await client.call_tool("check_inbox"))
        watched = content(await client.call_tool("watch", {"timeout": 0, "name": new}))
        refused = await client.call_tool("send", {"to": me})

    assert len(tools.tools) == 11
    assert peeked == {"pending": 1, "oldestAt": sent["sentAt"]}
    assert listed["you"] == me
    assert renamed == {"from": me, "to": new, "messagesTransferred": 1}
    assert [message["body"] for message in checked["messages"]] == ["žluť\nline"]
    assert watched == {"message": None}
    assert refused.is_error


@modes
async def test_the_inbox(daemon: DaemonProcess, mail: Mail, fresh: Fresh, mode: str) -> None:
    """The resource and, in the newer era, news of it; with ``--session`` that of the session."""
    me = fresh("me")
    async with connected(daemon, mode, "--name", me) as client:
        mail.send("peer", me, "hello")
        (shown,) = (await client.read_resource(INBOX)).contents
        assert json.loads(shown.text)["you"] == me  # type: ignore[union-attr]
        if mode != "legacy":
            with trio.fail_after(60):
                async with client.listen(resource_subscriptions=[INBOX]) as subscription:
                    mail.send("peer", me, "hello again")
                    assert await anext(aiter(subscription)) == ResourceUpdated(INBOX)
    async with connected(daemon, mode, "--session") as client:
        (shown,) = (await client.read_resource(INBOX)).contents
        assert json.loads(shown.text)["pending"] == 0  # type: ignore[union-attr]


@modes
async def test_a_restart(fresh: Fresh, mode: str) -> None:
    """Between two calls and in the middle of a watch: the client notices nothing."""
    me = fresh("me")
    answers: list[dict] = []
    with DaemonProcess() as daemon:
        await trio.to_thread.run_sync(wait_until_ready, daemon)
        # With an address it does not start a daemon of its own while ours is down.
        async with connected(daemon, mode, "--name", me, "--url", daemon.url) as client:
            await client.call_tool("send", {"to": me, "body": "before"})
            answers.append(content(await client.call_tool("watch", {"timeout": 50})))

            async def watch() -> None:
                answers.append(content(await client.call_tool("watch", {"timeout": 50})))

            def wait() -> None:
                with Mail(("127.0.0.1", daemon.port)) as mail:
                    mail.wait_for_waiters(1)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                await trio.to_thread.run_sync(wait)
                await trio.to_thread.run_sync(lambda: daemon.restart(same_port=True))
                await trio.to_thread.run_sync(wait)
                with Mail(("127.0.0.1", daemon.port)) as mail:
                    mail.send("sender", me, "after")

    assert [answer["message"]["body"] for answer in answers] == ["before", "after"]


@modes
async def test_a_cancelled_watch_takes_no_mail(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh, mode: str
) -> None:
    """The program loses interest and stays connected."""
    me = fresh("me")
    async with connected(daemon, mode, "--name", me) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.call_tool, "watch", {"timeout": 50})
        await trio.to_thread.run_sync(mail.wait_for_waiters, 1)

        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(mail.wait_for_waiters, 0)
            mail.send("sender", me)
            checked = content(await client.call_tool("check_inbox"))

    assert [message["attempts"] for message in checked["messages"]] == [1]


def test_killed_during_a_watch_it_loses_no_mail(
    daemon: DaemonProcess, mail: Mail, fresh: Fresh
) -> None:
    """``kill -9``: the daemon sees the connection end, and the mail stays."""
    me = fresh("me")
    command = [sys.executable, "-m", "claude_mailbox", "mcp-stdio", "--name", me]
    call = {"name": "watch", "arguments": {"timeout": 50}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    with subprocess.Popen(
        command, env=daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        mail.wait_for_waiters(1)

        process.kill()

    mail.wait_for_waiters(0)
    mail.send("sender", me)
    assert [message["attempts"] for message in mail.check(me)] == [1]
