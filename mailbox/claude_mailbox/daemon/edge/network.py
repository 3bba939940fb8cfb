"""Hypercorn, as it comes, for clients beyond this machine.

The application brings the guard and the handover along, so nothing of ours surrounds it here.
Hypercorn tells of a disconnect by a message alone, and not whether the last bytes were written: a
client that needs to know what arrived uses explicit leases.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import Framework

from claude_mailbox.daemon.http.asgi import App

_KEEP_ALIVE_SECONDS = 75


async def serve_network(
    app: App,
    bind: str,
    closing: Callable[[], Awaitable[None]],
    grace_seconds: float,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve *app* until *closing* returns.

    Args:
        app: the whole application.
        bind: ``host:port``; port 0 for any free one.
        closing: waits for the end.
        grace_seconds: how long running requests may go on then.
        task_status: is told the addresses, as URLs.
    """
    config = Config()
    config.bind = [bind]
    config.graceful_timeout = grace_seconds
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = sys.maxsize
    config.include_server_header = False
    config.accesslog = None
    await serve(cast("Framework", app), config, shutdown_trigger=closing, task_status=task_status)
