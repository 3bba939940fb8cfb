"""The Python library: `Mailbox`, and `AsyncMailbox` for trio and asyncio. It needs httpx."""

try:
    import httpx as httpx
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "The Python library needs httpx: install claude-mailbox[client]."
    ) from None

from claude_mailbox.client.reach.api import Refused
from claude_mailbox.errors import DaemonUnreachable, MailboxError
from claude_mailbox.library.asynchronous import AsyncDeliveries, AsyncMailbox, AsyncMessage
from claude_mailbox.library.synchronous import Deliveries, Mailbox, Message
from claude_mailbox.library.values import (
    HistoryEntry,
    LeaseLost,
    Receipt,
    Recipient,
    Unanswered,
)

__all__ = [
    "AsyncDeliveries",
    "AsyncMailbox",
    "AsyncMessage",
    "DaemonUnreachable",
    "Deliveries",
    "HistoryEntry",
    "LeaseLost",
    "Mailbox",
    "MailboxError",
    "Message",
    "Receipt",
    "Recipient",
    "Refused",
    "Unanswered",
]
