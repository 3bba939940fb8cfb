"""What a job can do, as protocols that each engine implements.

Times are milliseconds since the epoch, and always arguments: an engine has no clock. An operation
that is refused raises a `MailboxError`, and the changes of its job are undone.
"""

from dataclasses import dataclass

from claude_mailbox.daemon.store.operations.conversation import ConversationStore, HistoryStore
from claude_mailbox.daemon.store.operations.mail import LeaseStore, MailboxStore, MailStore
from claude_mailbox.daemon.store.operations.overview import OverviewStore
from claude_mailbox.daemon.store.operations.people import (
    ExchangeStore,
    GroupStore,
    SessionStore,
    ShownStore,
    TokenStore,
)
from claude_mailbox.daemon.store.operations.space import SpaceStore


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a job can do. The ledger begins and commits the transaction."""

    mailboxes: MailboxStore
    mail: MailStore
    leases: LeaseStore
    conversation: ConversationStore
    history: HistoryStore
    sessions: SessionStore
    shown: ShownStore
    groups: GroupStore
    exchanges: ExchangeStore
    tokens: TokenStore
    overview: OverviewStore
    space: SpaceStore
