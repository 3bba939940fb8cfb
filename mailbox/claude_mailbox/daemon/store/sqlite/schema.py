"""The states of messages, and the migrations that make the tables. No trio.

States of a message::

    send            claim              settle
    -----> WAITING --------> LEASED --------> DELIVERED
      |     ^ | ^              |
      |     | | +--------------+
      |     | |  release, expiry, restart of the daemon (connection-bound leases only)
      |     | |
      |     | +---> EXPIRED   not delivered within its time to live
      |     | +---> PARKED    handed out too often: waits again when retried, DELETED when dropped
      |     |
      +-> DELAYED   until its time has come
      +-> HELD      until it is given free

A lease with ``lease_until`` is explicit; without it, it is bound to the connection that the
message leaves by, and cannot survive the daemon.
"""

import os
import unicodedata
from hashlib import sha256
from typing import Any

import apsw

# "CMBX": what tells our file from another program's.
APPLICATION_ID = 0x434D4258

WAITING = 0
LEASED = 1
DELIVERED = 2
DELAYED = 3
HELD = 4
EXPIRED = 5
PARKED = 6
DELETED = 7

# Up to which message all are in `correspondence`.
NOTED = "SELECT message_id FROM correspondence_end"

_FOLDER = os.path.join(os.path.dirname(__file__), "migrations")
MIGRATIONS = sorted(name for name in os.listdir(_FOLDER) if name.endswith(".sql"))
"""Files of SQL. Added to, never edited: each takes the database from its index to the next number."""


def _sha256(*values: Any) -> bytes:
    """SQLite has none of its own; it takes bytes, so that damaged text does no harm."""
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
