"""A real systemd user manager for the tests, in namespaces of its own.

It needs root, cgroup v2 and namespaces. Its processes are in a cgroup and in pid, mount and network
namespaces that are made for them: they cannot reach processes, units or ports outside. When the
first process is killed, the kernel kills the others.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE_SECONDS = 30.0

_INIT = """
set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
python=$1; systemd=$2; shift 2
"$python" -c '
import fcntl, socket, struct
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(probe, 0x8914, struct.pack("16sh14x", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP
'
"$systemd" --user --log-target=console &
wait
"""


class Unavailable(Exception):
    """No user manager can be started on this machine; the text says why."""


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise Unavailable(reason)


def _own_cgroup() -> Path:
    """Return the cgroup v2 folder of this process."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    places = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    _need(bool(places), "cgroup v2 is not mounted")
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    return Path(places[0]) / own.lstrip("/")


class UserManager:
    """A user manager with a home and a runtime folder, from `start` to `close`.

    Args:
        folder: the parent of both folders; a short path, as sockets are made there.

    Attributes:
        home: the user's home.
        environment: variables with which systemctl finds this manager.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self._runtime = folder / "run"
        self._log = folder / "systemd.log"
        self.environment = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self._runtime),
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
        }
        self._cgroup: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0

    def start(self) -> None:
        """Start the manager and wait until it is ready.

        Raises:
            Unavailable: if it cannot be started; nothing is left of the attempt.
        """
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the manager and all other processes in its namespaces."""
        if self._process is not None:
            if self._init:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._init, 9)
            else:
                self._process.kill()
            self._process.wait()
        if self._cgroup is not None:
            self._remove_cgroup(self._cgroup)

    def _remove_cgroup(self, cgroup: Path) -> None:
        """Remove the cgroup and those below it when the last process has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                for folder, _, _ in os.walk(cgroup, topdown=False):
                    os.rmdir(folder)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run *command* in the namespaces of the manager."""
        enter = ["nsenter", f"--target={self._init}", "--pid", "--mount", "--cgroup", "--net", "--"]
        return subprocess.run(
            [*enter, *command],
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl and return its output."""
        return self.run(["systemctl", "--user", *arguments]).stdout.strip()

    def _start(self) -> None:
        _need(sys.platform.startswith("linux"), "this is not Linux")
        _need(os.geteuid() == 0, "namespaces and a cgroup of our own need root")
        for tool in ("unshare", "nsenter", "systemctl"):
            _need(shutil.which(tool) is not None, f"{tool} is not installed")
        places = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
        systemd = next((place for place in places if os.path.exists(place)), None)
        _need(systemd is not None, "systemd is not installed")
        self.home.mkdir()
        self._runtime.mkdir(mode=0o700)
        self._cgroup = _own_cgroup() / f"claude-mailbox-test-{os.getpid()}"
        try:
            self._cgroup.mkdir()
        except OSError as error:
            self._cgroup = None
            raise Unavailable(f"no cgroup can be made: {error.strerror}") from None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            place = str(self._runtime / "ready")
            ready.bind(place)
            ready.settimeout(PATIENCE_SECONDS)
            self._launch(str(systemd), place)
            self._await_ready(ready)

    def _launch(self, systemd: str, ready: str) -> None:
        enter = f"echo $$ > '{self._cgroup}/cgroup.procs' && exec \"$@\""
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
        unshare += ["--cgroup", "--net", "sh", "-c", _INIT, "init", sys.executable, systemd]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", enter, "sh", *unshare],
                env={**self.environment, "NOTIFY_SOCKET": ready},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _await_ready(self, ready: socket.socket) -> None:
        assert self._process is not None
        ready.settimeout(0.2)  # check as often whether it has ended
        for _ in range(int(PATIENCE_SECONDS / 0.2)):
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in ready.recv(4096).split(b"\n"):
                    children = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
                    self._init = int(Path(children).read_text().split()[0])
                    return
            if self._process.poll() is not None:
                break
        raise Unavailable(f"it did not start: {self._log.read_text(errors='replace')[-500:]}")
