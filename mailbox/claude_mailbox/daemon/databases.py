"""Which database the daemon uses: SQLite, or a PostgreSQL that it shares with other daemons."""

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from claude_mailbox import paths
from claude_mailbox.config import Config
from claude_mailbox.daemon.process.clock import SteadyClock
from claude_mailbox.daemon.process.secret import Secret
from claude_mailbox.daemon.store.engine import Engine
from claude_mailbox.daemon.store.notifications import PollResult
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from claude_mailbox.errors import StartupError

if TYPE_CHECKING:
    from claude_mailbox.daemon.store.postgres.notifications import Notifications


@dataclass(frozen=True, slots=True)
class Database:
    """A database that is open.

    Attributes:
        engine: what the ledger drives.
        address: where it is, without a password.
        notifications: to and from the daemons that share it, if it can be shared.
        poll: finds what those missed, if it can be shared.
    """

    engine: Engine
    address: str
    notifications: "Notifications | None" = None
    poll: Callable[[Sequence[str]], Awaitable[PollResult]] | None = None


async def open_database(config: Config, clock: SteadyClock) -> Database:
    """Open the database of the configuration; *clock* follows its server's clock, if it has one.

    Raises:
        StartupError: if it cannot be opened.
    """
    if not config.database_url:
        sqlite = await SqliteEngine.open(config.db_path, max_mailboxes=config.max_mailboxes)
        return Database(sqlite, config.db_path)
    try:
        # psycopg is an extra.
        from claude_mailbox.daemon.store.postgres.database import shown
        from claude_mailbox.daemon.store.postgres.engine import PostgresEngine
        from claude_mailbox.daemon.store.postgres.notifications import Notifications
    except ImportError as error:
        raise StartupError(
            f"PostgreSQL needs psycopg ({error}): install claude-mailbox[postgres], with its extra."
        ) from None
    own_id = daemon_id()
    postgres = await PostgresEngine.open(
        config.database_url,
        own_id,
        f"{socket.gethostname()} ({os.getpid()})",
        clock,
        max_mailboxes=config.max_mailboxes,
    )
    return Database(
        postgres,
        shown(config.database_url),
        Notifications(config.database_url, own_id),
        postgres.poll,
    )


def daemon_id() -> str:
    """Return an id for this home folder, which copies of it on other machines do not share."""
    proof = Secret(paths.secret_path()).proof("daemon", 0)
    return sha256(f"{socket.gethostname()} {paths.home()} {proof}".encode()).hexdigest()[:16]
