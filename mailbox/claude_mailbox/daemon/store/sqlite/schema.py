"""The states of messages, and the migrations that make the tables. No trio.

States of a message::

    send            claim              settle
    -----> WAITING --------> LEASED --------> DELIVERED
      |     ^ | ^              |
      |     | | +--------------+
      |     | |  release, expiry, restart of the daemon (connection-bound leases only)
      |     | |
      |     | +---> EXPIRED   not delivered within its time to live
      |     | +---> PARKED    delivered too often: WAITING when retried, DELETED when dropped
      |     |
      +-> DELAYED   until its delay is over
      +-> HELD      until it is released

A lease with ``lease_until`` is explicit. Without it, the lease is bound to the client's connection,
and ends with the daemon at the latest.
"""

import os
import unicodedata
from hashlib import sha256
from typing import Any

import apsw

# "CMBX", SQLite's application_id of our databases.
APPLICATION_ID = 0x434D4258

WAITING = 0
LEASED = 1
DELIVERED = 2
DELAYED = 3
HELD = 4
EXPIRED = 5
PARKED = 6
DELETED = 7

# SQL for the number up to which all messages are in `correspondence`.
NOTED = "SELECT message_id FROM correspondence_end"

_FOLDER = os.path.join(os.path.dirname(__file__), "migrations")
MIGRATIONS = sorted(name for name in os.listdir(_FOLDER) if name.endswith(".sql"))
"""Files of SQL, never edited: each migrates the database from its index to the next version."""


def _sha256(*values: Any) -> bytes:
    """SHA-256 for SQL. It takes bytes, because text may be damaged."""
    return sha256(*values).digest()


def _nfc(*values: Any) -> str | None:
    (name,) = values
    return None if name is None else unicodedata.normalize("NFC", name)


def migrate(connection: apsw.Connection, version: int) -> None:
    """Bring the schema from *version* to the newest, in one transaction."""
    if version == len(MIGRATIONS):
        return
    connection.create_scalar_function("sha256", _sha256, 1)
    connection.create_scalar_function("nfc", _nfc, 1)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version:]:
            connection.execute(_read(migration))
        connection.pragma("user_version", len(MIGRATIONS))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.create_scalar_function("sha256", None, 1)
    connection.create_scalar_function("nfc", None, 1)


def _read(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()
