"""What a job can do to mail, mailboxes, leases and sessions, whatever the database.

All times are milliseconds since the epoch, and arguments: an engine has no clock. An operation
that refuses raises an error of `claude_mailbox.errors`, and its job's changes are undone.
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
    """What a job can do. The ledger has begun the transaction, and will commit it."""

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
