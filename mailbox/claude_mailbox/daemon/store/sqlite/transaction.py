"""Makes the `Transaction` of a SQLite connection."""

import apsw

from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.daemon.store.sqlite.messages.conversation import SqliteConversation
from claude_mailbox.daemon.store.sqlite.messages.history import SqliteHistory
from claude_mailbox.daemon.store.sqlite.messages.indexing import SearchIndex
from claude_mailbox.daemon.store.sqlite.messages.keys import SqliteKeys
from claude_mailbox.daemon.store.sqlite.messages.leases import SqliteLeases
from claude_mailbox.daemon.store.sqlite.messages.mail import SqliteMail
from claude_mailbox.daemon.store.sqlite.messages.mailboxes import SqliteMailboxes
from claude_mailbox.daemon.store.sqlite.people.exchanges import SqliteExchanges
from claude_mailbox.daemon.store.sqlite.people.groups import SqliteGroups
from claude_mailbox.daemon.store.sqlite.people.overview import SqliteOverview
from claude_mailbox.daemon.store.sqlite.people.sessions import SqliteSessions
from claude_mailbox.daemon.store.sqlite.people.shown import SqliteShown
from claude_mailbox.daemon.store.sqlite.people.tokens import SqliteTokens
from claude_mailbox.daemon.store.sqlite.space import SqliteSpace


def create_transaction(
    connection: apsw.Connection, *, max_mailboxes: int | None = None
) -> Transaction:
    """Return the operations of a connection; the object is used for all its transactions."""
    keys = SqliteKeys(connection)
    mailboxes = SqliteMailboxes(connection, keys, max_mailboxes)
    index = SearchIndex(connection)
    history = SqliteHistory(connection, mailboxes, index)
    return Transaction(
        mailboxes=mailboxes,
        mail=SqliteMail(connection, mailboxes, keys),
        leases=SqliteLeases(connection, mailboxes),
        conversation=SqliteConversation(connection, mailboxes, history),
        history=history,
        sessions=SqliteSessions(connection, mailboxes),
        shown=SqliteShown(connection, mailboxes),
        groups=SqliteGroups(connection, mailboxes, keys),
        exchanges=SqliteExchanges(connection, mailboxes),
        overview=SqliteOverview(connection, history, index),
        space=SqliteSpace(connection),
        tokens=SqliteTokens(connection),
    )
