"""Connects to the database, examines it, and migrates its schema. No trio."""

import logging
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg import errors as pg
from psycopg.abc import Buffer
from psycopg.types.string import StrDumper

from claude_mailbox.daemon.store.postgres.errors import reason
from claude_mailbox.daemon.store.postgres.schema import MIGRATIONS, SCHEMA, Connection, migrate
from claude_mailbox.errors import StartupError

# psycopg also logs the errors that it raises.
logging.getLogger("psycopg").setLevel(logging.ERROR)

_OLDEST_SERVER = 13
_UPDATE = "update claude-mailbox"

# A server that does not answer is given up after some seconds. The transaction of a daemon that
# freezes is ended, so that its locks do not block others for long.
_SETTINGS = {
    "search_path": SCHEMA,
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "3s",
    "jit": "off",
}
_PARAMETERS: dict[str, Any] = {
    "application_name": "claude-mailbox",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class _Text(StrDumper):
    """Text without NUL, which PostgreSQL cannot store, and no name or path has."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd"))


def open_database(url: str, daemon_id: str | None = None) -> Connection:
    """Connect, check and migrate the database; other daemons may do so at the same time.

    With *daemon_id* it is for that daemon's work (see ``end_former``).

    Raises:
        StartupError: if that cannot be done; the database is not changed.
    """
    try:
        connection = connect(url)
    except psycopg.Error as error:
        raise StartupError(
            f"Cannot connect to the database {shown(url)} ({reason(error)}): check its address,"
            " and that the server runs and lets you in."
        ) from None
    try:
        _prepare(connection, url)
        if daemon_id is not None:
            end_former(connection, daemon_id)
    except psycopg.Error as error:
        connection.close()
        raise StartupError(
            f"Cannot use the database {shown(url)} ({reason(error)}): the user needs the right to"
            f" create the schema {SCHEMA} in it."
        ) from None
    except StartupError:
        connection.close()
        raise
    return connection


def connect(url: str) -> Connection:
    """Return a connection in autocommit mode, with our settings.

    Raises:
        psycopg.Error: if the server cannot be reached.
    """
    given = conninfo.conninfo_to_dict(url)
    options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    if given.get("options"):
        options = f"{given['options']} {options}"
    connection: Connection = psycopg.connect(
        url, autocommit=True, **{**_PARAMETERS, **given, "options": options}
    )
    connection.adapters.register_dumper(str, _Text)
    if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
        connection.execute("SET synchronous_commit = on")
    return connection


def end_former(connection: Connection, daemon_id: str) -> None:
    """End this daemon's former connection, on which a commit may still be running.

    Each working connection holds an advisory lock with the daemon's id.

    Raises:
        psycopg.Error: if that does not end in time.
    """
    key = int.from_bytes(sha256(daemon_id.encode()).digest()[:8], "big", signed=True)
    if connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone() == (True,):
        return
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        " AND usename = current_user AND classid::bigint = %s AND objid::bigint = %s",
        (key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF),
    )
    connection.execute("SELECT pg_advisory_lock(%s)", (key,))


def problem(url: str) -> tuple[str, str] | None:
    """Return a message for each problem of a database; change nothing."""
    try:
        with connect(url) as connection:
            if connection.execute(
                "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'migration'",
                (SCHEMA,),
            ).fetchone():
                row = connection.execute("SELECT max(number) FROM migration").fetchone()
                if row is not None and (row[0] or 0) > len(MIGRATIONS):
                    return f"was written by a newer version (schema {row[0]})", _UPDATE
    except psycopg.Error as error:
        return f"cannot be reached ({reason(error)})", "check its address, its server and ~/.pgpass"
    return None


def shown(url: str) -> str:
    """Return the address of a database without user, password and options."""
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        return "postgresql://"
    host = str(given.get("host") or given.get("hostaddr") or "")
    port = f":{given['port']}" if given.get("port") else ""
    return f"postgresql://{host}{port}/{given.get('dbname') or ''}"


def _prepare(connection: Connection, url: str) -> None:
    version = connection.info.server_version // 10_000
    if version < _OLDEST_SERVER:
        raise StartupError(
            f"The database server is PostgreSQL {version}: claude-mailbox needs {_OLDEST_SERVER} or"
            " newer."
        )
    encoding = connection.execute("SHOW server_encoding").fetchone()
    if encoding != ("UTF8",):
        raise StartupError(
            f"The database {shown(url)} has another encoding than UTF8: create one with"
            " 'ENCODING UTF8 TEMPLATE template0'."
        )
    tables = {
        table
        for (table,) in connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,)
        )
    }
    if tables and "migration" not in tables:
        raise StartupError(
            f"The schema {SCHEMA} in {shown(url)} is another program's; nothing was changed. Choose"
            " another database."
        )
    try:
        found = migrate(connection)
    except pg.UniqueViolation:  # another daemon has just made the schema
        found = migrate(connection)
    if found > len(MIGRATIONS):
        raise StartupError(
            f"{shown(url)} was written by a newer claude-mailbox (schema {found}, this one knows"
            f" {len(MIGRATIONS)}): update claude-mailbox."
        )
