"""A real PostgreSQL in a temporary folder, on a Unix socket only."""

import contextlib
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg

from support.daemon import PATIENCE_SECONDS

_PLACES = ["/usr/local/bin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
# What a test of something else than durability does without.
_QUICK = {"fsync": "off", "full_page_writes": "off"}
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "dynamic_shared_memory_type": "mmap",
    "log_min_messages": "fatal",
}


def find_program(name: str) -> str | None:
    """Return where a program of PostgreSQL is; Debian keeps most of them off the PATH."""
    path = os.pathsep.join([*_PLACES, os.environ.get("PATH", "")])
    return shutil.which(name, path=path)


MISSING = (
    None
    if find_program("postgres") and find_program("initdb")
    else "there is no PostgreSQL here: install Debian's package 'postgresql', or put 'initdb' and"
    " 'postgres' on the PATH"
)


def _unprivileged() -> dict[str, object]:
    """Return the user to run as: PostgreSQL refuses root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class PostgresServer:
    """A server with its data; a context manager. Every call blocks.

    Args:
        durable: whether it flushes what it commits.
        settings: further ones of the server.
    """

    def __init__(self, *, durable: bool = False, **settings: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cmb-pg-", ignore_cleanup_errors=True)
        self._as_user = _unprivileged()
        os.chmod(self._folder.name, 0o755)
        if self._as_user:
            os.chown(self._folder.name, self._as_user["user"], self._as_user["group"])  # type: ignore[arg-type]
        self._data = f"{self._folder.name}/data"
        self._settings = {
            **_SETTINGS,
            **({} if durable else _QUICK),
            **settings,
            "unix_socket_directories": self._folder.name,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._scratch: str | None = None

    def __enter__(self) -> "PostgresServer":
        self._run(
            "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"
        )
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop("immediate")
        self._folder.cleanup()

    def _run(self, program: str, *arguments: str) -> None:
        path = find_program(program)
        assert path is not None, MISSING
        subprocess.run(
            [path, "-D", self._data, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder.name,
            **self._as_user,  # type: ignore[call-overload]
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        path = find_program("postgres")
        assert path is not None, MISSING
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with open(f"{self._folder.name}/log", "ab") as log:
            self._process = subprocess.Popen(
                [path, "-D", self._data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder.name,
                **self._as_user,  # type: ignore[call-overload]
            )
        # It says so in its own file, which is written anew at each start.
        state = Path(self._data, "postmaster.pid")
        while not (state.exists() and state.read_text().rstrip().endswith("ready")):
            if self._process.poll() is not None:
                raise AssertionError(Path(self._folder.name, "log").read_text())

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` in order, ``immediate`` as by a power cut."""
        assert self._process is not None
        number = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self._process.send_signal(number)
        self._process.wait(PATIENCE_SECONDS)
        self._process = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._data}/postmaster.pid")

    @property
    def socket_folder(self) -> str:
        """Where its Unix socket is."""
        return self._folder.name

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@/{database}?host={quote(self._folder.name, safe='')}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def create_database(self, template: str | None = None) -> str:
        """Make a database, empty or a copy of another; return its name."""
        name = f"test_{next(self._numbers)}"
        like = f" TEMPLATE {template}" if template else ""
        self.execute(f"CREATE DATABASE {name}{like}")
        return name

    def scratch_database(self) -> str:
        """Return the name of a database for tests that leave nothing to each other."""
        if self._scratch is None:
            self._scratch = self.create_database()
        return self._scratch

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def cut_connections(self, database: str) -> None:
        """End all connections to a database, as a network or an administrator would."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        )
