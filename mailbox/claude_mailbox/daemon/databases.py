"""Which database the daemon uses: SQLite, or a PostgreSQL that it shares with other daemons."""

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from claude_mailbox import paths
from claude_mailbox.config import Config
from claude_mailbox.daemon.clock import SteadyClock
from claude_mailbox.daemon.secret import Secret
from claude_mailbox.daemon.store.engine import Engine
from claude_mailbox.daemon.store.peers import Round
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from claude_mailbox.errors import StartupError

if TYPE_CHECKING:
    from claude_mailbox.daemon.store.postgres.notices import Notices


@dataclass(frozen=True, slots=True)
class Database:
    """A database that is open.

    Attributes:
        engine: what the ledger drives.
        address: what people may see of where it is.
        notices: news to and from the daemons that share it, if it can be shared.
        look_around: looks for what those news missed, if it can be shared.
    """

    engine: Engine
    address: str
    notices: "Notices | None" = None
    look_around: Callable[[Sequence[str]], Awaitable[Round]] | None = None


async def open_database(config: Config, clock: SteadyClock) -> Database:
    """Open the database; *clock* goes by that of its server, if it has one.

    Raises:
        StartupError: if that cannot be done.
    """
    if not config.database_url:
        sqlite = await SqliteEngine.open(config.db_path, max_mailboxes=config.max_mailboxes)
        return Database(sqlite, config.db_path)
    try:
        # Only who has the extra can import it.
        from claude_mailbox.daemon.store.postgres.database import shown
        from claude_mailbox.daemon.store.postgres.engine import PostgresEngine
        from claude_mailbox.daemon.store.postgres.notices import Notices
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
        Notices(config.database_url, own_id),
        postgres.look_around,
    )


def daemon_id() -> str:
    """Return what tells this home folder from others, also from copies of it on other machines."""
    proof = Secret(paths.secret_path()).proof("daemon", 0)
    return sha256(f"{socket.gethostname()} {paths.home()} {proof}".encode()).hexdigest()[:16]
