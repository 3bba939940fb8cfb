"""ASGI: ``/mcp``. Answers plain tool calls at once; holds the rest until the SDK is imported."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Protocol

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.callers import MAILBOX_HEADER, Callers
from claude_mailbox.daemon.http.asgi import (
    Message,
    Receive,
    Scope,
    Send,
    headers_named,
    send_error,
    send_json,
)
from claude_mailbox.daemon.mcp.cancellation import Calls
from claude_mailbox.daemon.mcp.lane import ToolCall, read_call, write_result
from claude_mailbox.daemon.mcp.tools import Tools
from claude_mailbox.errors import MailboxError, MethodNotAllowed, ShuttingDown

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class Manager(Protocol):
    """What of the SDK's session manager is used here."""

    def run(self) -> AbstractAsyncContextManager[None]:
        """Be able to handle requests for the duration of the block."""
        ...

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        ...


class McpGate:
    """The MCP endpoint, from before it is ready until after it has stopped.

    Args:
        broker: what the tools talk to.
        callers: finds out who calls.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._callers = callers
        self._calls = Calls()
        self._tools = Tools(broker, callers, self._calls)
        self._manager: Manager | None = None
        self._decided = trio.Event()
        self.is_closed = False

    @property
    def is_ready(self) -> bool:
        """Whether everything is answered at once."""
        return self._manager is not None

    async def serve(self, then: Callable[[], None]) -> None:
        """Import the SDK on a thread, call *then*, and be open until cancelled."""
        try:
            manager = await trio.to_thread.run_sync(self._build, abandon_on_cancel=True)
            async with manager.run():
                self._manager = manager
                self._decided.set()
                then()
                await trio.sleep_forever()
        finally:
            self.close()

    def _build(self) -> "StreamableHTTPSessionManager":
        from claude_mailbox.daemon.mcp.server import create_session_manager

        return create_session_manager(self._tools)

    def close(self) -> None:
        """Answer 503 from now on."""
        self.is_closed = True
        self._manager = None
        self._decided.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # There is no stream to open and no session to end: every call stands alone, which is
        # what lets clients live through a restart of the daemon without noticing.
        if scope["method"] != "POST":
            sentence = "/mcp takes POST only: it keeps no streams."
            await send_error(send, MethodNotAllowed(sentence, "POST"))
            return
        # The guard has put the body together, so the first message is all of it.
        request = await receive()
        body: bytes = request.get("body", b"")
        call = None if self.is_closed else read_call(scope, body)
        if call is not None:
            await self._answer(scope, call, send)
            return
        await self._decided.wait()
        if self._manager is None:
            await send_error(send, ShuttingDown("The daemon is stopping: try again in a moment."))
            return
        if headers_named(scope, MAILBOX_HEADER):
            # Who has only just connected is here, too. What is wrong with the header is told where
            # it matters: by the tool that wants to know who calls.
            with suppress(MailboxError):
                await self._callers.identify(scope)
        self._calls.heed(scope, body)
        messages = [request]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._manager.handle_request(scope, replay, send)

    async def _answer(self, scope: Scope, call: ToolCall, send: Send) -> None:
        result = await self._tools.call(scope, call.request_id, call.name, call.arguments)
        await send_json(send, write_result(call, result))
