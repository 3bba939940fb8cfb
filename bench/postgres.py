"""A PostgreSQL of our own, in a throw-away folder, that flushes what it commits."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.errors import BenchError
from bench.machine import cpu_seconds

_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: the address of its database.
        pid: of its first process.
    """

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time of its processes that are there now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return sum(cpu_seconds(int(pid)) for pid in children.split())


def find() -> str | None:
    """Return the folder of its programs, or None."""
    places = [*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    found = shutil.which("initdb", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    return os.path.dirname(os.path.realpath(found)) if found else None


@contextlib.contextmanager
def serving(programs: str, parent: str | None) -> Iterator[Server]:
    """Run a server below *parent*."""
    user: dict[str, Any] = {}
    is_root = os.getuid() == 0  # which PostgreSQL refuses
    if is_root and parent is not None and not _is_open(parent):
        parent = None
    folder = tempfile.mkdtemp(prefix="cmb-pg-", dir=parent)
    if is_root:
        names = {entry.pw_name for entry in pwd.getpwall()}
        entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chmod(folder, 0o755)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    data = os.path.join(folder, "data")
    initdb = [os.path.join(programs, "initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
    subprocess.run([*initdb, "-E", "UTF8", "--locale=C"], check=True, capture_output=True, **user)
    settings = ["--listen_addresses=", f"--unix_socket_directories={folder}"]
    process = subprocess.Popen(
        [os.path.join(programs, "postgres"), "-D", data, *settings],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,
    )
    try:
        _wait(os.path.join(data, "postmaster.pid"))
        url = f"postgresql://postgres@/postgres?host={quote(folder, safe='')}"
        yield Server(url, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _is_open(folder: str) -> bool:
    """Say whether every user may enter a folder."""
    path = Path(folder).resolve()
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


def _wait(state: str) -> None:
    begin = time.monotonic()
    while True:
        with contextlib.suppress(FileNotFoundError), open(state, encoding="utf-8") as file:
            if file.read().rstrip().endswith("ready"):
                return
        if time.monotonic() - begin > _START_SECONDS:
            raise BenchError("PostgreSQL did not start.")
        time.sleep(0.01)
