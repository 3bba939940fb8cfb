"""Makes the `Transaction` of a PostgreSQL connection."""

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres.connection import StoreConnection
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.messages.conversation import PostgresConversation
from claude_mailbox.daemon.store.postgres.messages.history import PostgresHistory
from claude_mailbox.daemon.store.postgres.messages.keys import PostgresKeys
from claude_mailbox.daemon.store.postgres.messages.leases import PostgresLeases
from claude_mailbox.daemon.store.postgres.messages.mail import PostgresMail
from claude_mailbox.daemon.store.postgres.messages.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.nonces import Nonces
from claude_mailbox.daemon.store.postgres.people.exchanges import PostgresExchanges
from claude_mailbox.daemon.store.postgres.people.groups import PostgresGroups
from claude_mailbox.daemon.store.postgres.people.overview import PostgresOverview
from claude_mailbox.daemon.store.postgres.people.sessions import PostgresSessions
from claude_mailbox.daemon.store.postgres.people.shown import PostgresShown
from claude_mailbox.daemon.store.postgres.people.tokens import PostgresTokens
from claude_mailbox.daemon.store.postgres.space import PostgresSpace


def create_transaction(
    connection: StoreConnection,
    *,
    daemon_id: str,
    locks: MailboxLocks | None = None,
    nonces: Nonces | None = None,
    max_mailboxes: int | None = None,
) -> Transaction:
    """Return the operations of a connection; the object is used for all its transactions.

    Args:
        connection: its owner begins and ends transactions.
        daemon_id: the daemon that makes the leases.
        locks: the owner tells it of the beginning and end of transactions.
        nonces: makes nonces; the owner tells it of these, too.
        max_mailboxes: how many there may be.
    """
    locks = locks or MailboxLocks(connection)
    nonces = nonces or Nonces()
    keys = PostgresKeys(connection)
    mailboxes = PostgresMailboxes(connection, locks, keys, max_mailboxes, daemon_id)
    history = PostgresHistory(connection, mailboxes)
    return Transaction(
        mailboxes=mailboxes,
        mail=PostgresMail(connection, locks, mailboxes, keys),
        leases=PostgresLeases(connection, locks, mailboxes, nonces, daemon_id),
        conversation=PostgresConversation(connection, locks, mailboxes, history, nonces, daemon_id),
        history=history,
        sessions=PostgresSessions(connection, mailboxes, daemon_id),
        shown=PostgresShown(connection, locks, mailboxes, daemon_id),
        tokens=PostgresTokens(connection),
        groups=PostgresGroups(connection, mailboxes, keys, daemon_id),
        exchanges=PostgresExchanges(connection, locks, mailboxes),
        overview=PostgresOverview(connection, history),
        space=PostgresSpace(),
    )
