"""``/mcp``: the endpoint in front of the MCP SDK.

Importing the SDK takes most of a second, and a daemon that a hook has started should answer the hook
first. So the SDK is imported at the first call, or five seconds after the start. Calls wait for it.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Protocol

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.input.callers import MAILBOX_HEADER, Callers
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.input.subagents import SubagentCalls
from claude_mailbox.daemon.edge.output.handover import CUSTODY_KEY, Custody
from claude_mailbox.daemon.edge.routing import MailRoute
from claude_mailbox.daemon.http.asgi import App, Message, Receive, Scope, Send, headers_named
from claude_mailbox.daemon.mcp.cancellation import CancellableCalls
from claude_mailbox.daemon.mcp.inbox import InboxView
from claude_mailbox.daemon.mcp.tools.handlers import Tools
from claude_mailbox.errors import MailboxError, ShuttingDown
from claude_mailbox.refusals import Overloaded

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


# When the SDK is imported if no call came before.
IMPORT_SECONDS = 5.0


class Manager(Protocol):
    """The part of the SDK's session manager that is used here."""

    def run(self) -> AbstractAsyncContextManager[None]:
        """Handle requests during the ``with`` block."""
        ...

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        ...


class McpEndpoint:
    """Passes requests to the SDK.

    Args:
        broker: used by the tools.
        callers: identifies callers.
        subagents: knows which calls are made by subagents.
    """

    def __init__(self, broker: Broker, callers: Callers, subagents: SubagentCalls) -> None:
        self._callers = callers
        self._calls = CancellableCalls()
        self._tools = Tools(broker, callers, self._calls, subagents)
        self._inbox = InboxView(broker, callers)
        self._manager: Manager | None = None
        self._wanted = trio.Event()
        self._decided = trio.Event()

    def routes(self) -> Iterable[MailRoute]:
        """Return the routes.

        There is only POST, because there are no streams and no sessions. So clients do not notice a
        restart of the daemon.
        """
        return (
            MailRoute("POST", "/mcp", self._handle, None),
            MailRoute("POST", "/mcp/", self._handle, None),
        )

    def held(self) -> list[str]:
        """Return the leases of messages that are delivered in parts."""
        return self._tools.results.long_messages.held()

    @property
    def is_ready(self) -> bool:
        """Whether calls are answered at once."""
        return self._manager is not None

    async def serve(self, on_ready: Callable[[], None]) -> None:
        """Import the SDK on a thread, call *on_ready*, and handle calls until cancelled.

        Raises:
            ImportError: if the SDK is not installed.
        """
        try:
            with trio.move_on_after(IMPORT_SECONDS):
                await self._wanted.wait()
            manager = await trio.to_thread.run_sync(self._build, abandon_on_cancel=True)
            async with manager.run():
                self._manager = manager
                self._decided.set()
                on_ready()
                await trio.sleep_forever()
        finally:
            self.close()

    def _build(self) -> "StreamableHTTPSessionManager":
        from claude_mailbox.daemon.mcp.server import create_session_manager

        return create_session_manager(self._tools, self._inbox)

    def close(self) -> None:
        """Answer 503 from now on, and end subscriptions."""
        self._manager = None
        self._inbox.close()
        self._decided.set()

    async def _handle(self, request: Request, custody: Custody) -> App:
        self._wanted.set()
        await self._decided.wait()
        manager = self._manager
        if manager is None:
            raise ShuttingDown("The daemon is stopping: try again in a moment.")
        scope = request.scope
        if headers_named(scope, MAILBOX_HEADER):
            # Connecting already counts as a use of the mailbox. If the header is wrong, the tool
            # that needs it says so.
            with suppress(MailboxError):
                await self._callers.identify(scope)
        self._calls.cancel_by(scope, request.body)
        scope[CUSTODY_KEY] = custody
        messages: list[Message] = [{"type": "http.request", "body": request.body}]

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            async def replay() -> Message:
                return messages.pop() if messages else await receive()

            refusal: Overloaded | None = None

            # Kept from the SDK, which would log it as a bug and send its own error.
            async def send_until_refused(message: Message) -> None:
                nonlocal refusal
                if refusal is None:
                    try:
                        await send(message)
                    except Overloaded as error:
                        refusal = error

            await manager.handle_request(scope, replay, send_until_refused)
            if refusal is not None:
                raise refusal

        return respond
