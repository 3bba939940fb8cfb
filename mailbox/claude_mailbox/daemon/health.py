"""The answer to ``GET /health``."""

import os

from claude_mailbox import __version__
from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.other_daemons import OtherDaemons
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.mcp.endpoint import McpEndpoint
from claude_mailbox.daemon.process.listening import Listening


def health(
    config: Config,
    database: str,
    listening: Listening,
    endpoint: McpEndpoint,
    lines: WaiterLines,
    others: OtherDaemons | None,
) -> shapes.Health:
    """Return the answer."""
    answer: shapes.Health = {
        "status": "ok",
        "version": __version__,
        "dbPath": database,
        "pid": os.getpid(),
        "addresses": list(listening.addresses),
        "mcp": "ready" if endpoint.is_ready else "starting",
        "waiters": lines.total(),
        "maxBodyBytes": config.max_body_bytes,
    }
    if listening.missing:
        answer["missing"] = list(listening.missing)
    if others is not None:
        answer["daemons"] = list(others.names)
    return answer
