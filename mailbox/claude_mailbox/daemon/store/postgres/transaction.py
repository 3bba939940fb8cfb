"""What jobs can do, on a PostgreSQL connection."""

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.postgres.conversation import PostgresConversation
from claude_mailbox.daemon.store.postgres.exchanges import PostgresExchanges
from claude_mailbox.daemon.store.postgres.groups import PostgresGroups
from claude_mailbox.daemon.store.postgres.history import PostgresHistory
from claude_mailbox.daemon.store.postgres.keys import PostgresKeys
from claude_mailbox.daemon.store.postgres.leases import PostgresLeases
from claude_mailbox.daemon.store.postgres.locks import MailboxLocks
from claude_mailbox.daemon.store.postgres.mail import PostgresMail
from claude_mailbox.daemon.store.postgres.mailboxes import PostgresMailboxes
from claude_mailbox.daemon.store.postgres.overview import PostgresOverview
from claude_mailbox.daemon.store.postgres.schema import Connection
from claude_mailbox.daemon.store.postgres.sessions import PostgresSessions
from claude_mailbox.daemon.store.postgres.shown import PostgresShown
from claude_mailbox.daemon.store.postgres.tokens import PostgresTokens


def create_transaction(
    connection: Connection,
    *,
    daemon_id: str,
    locks: MailboxLocks | None = None,
    max_mailboxes: int | None = None,
) -> Transaction:
    """Return the operations; one such object serves all transactions of the connection.

    Args:
        connection: in autocommit mode; whoever owns it begins and ends the transactions.
        daemon_id: the daemon whose connections hold the leases that are made.
        locks: told of the beginnings and ends, if there are transactions.
        max_mailboxes: how many there may be.
    """
    locks = locks or MailboxLocks(connection)
    keys = PostgresKeys(connection)
    mailboxes = PostgresMailboxes(connection, locks, keys, max_mailboxes, daemon_id)
    history = PostgresHistory(connection, mailboxes)
    return Transaction(
        mailboxes=mailboxes,
        mail=PostgresMail(connection, mailboxes, keys),
        leases=PostgresLeases(connection, locks, mailboxes, daemon_id),
        conversation=PostgresConversation(connection, locks, mailboxes, history, daemon_id),
        history=history,
        sessions=PostgresSessions(connection, mailboxes, daemon_id),
        shown=PostgresShown(connection, locks, mailboxes, daemon_id),
        tokens=PostgresTokens(connection),
        groups=PostgresGroups(connection, mailboxes, keys, daemon_id),
        exchanges=PostgresExchanges(connection, locks, mailboxes),
        overview=PostgresOverview(connection, history),
    )
