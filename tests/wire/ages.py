"""Mailboxes that look unused for long."""

import sqlite3

from support.daemon import DaemonProcess

MINUTE = 60_000


def let_time_pass(daemon: DaemonProcess, minutes: int, *names: str) -> None:
    """Make mailboxes look unused for longer; the daemon must not run."""
    database = sqlite3.connect(daemon.database)
    with database:
        for name in names:
            database.execute(
                "UPDATE mailbox SET created_at = created_at - :age,"
                " last_seen_at = last_seen_at - :age WHERE name = :name",
                {"age": minutes * MINUTE, "name": name},
            )
    database.close()
