"""Who listens on a TCP port: asks ``/proc``, ``lsof`` or ``netstat``, whichever is there."""

import ipaddress
import os
import sys
from collections.abc import Callable, Iterable, Iterator

Run = Callable[[list[str]], str]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_COMMAND_LIMIT = 80


def output(command: list[str]) -> str:
    """Return what *command* prints, or an empty string when it fails or is not there."""
    import subprocess

    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def holder(host: str, port: int, *, run: Run = output, platform: str = sys.platform) -> str | None:
    """Return who listens where *host*:*port* leads, as ``nginx -g daemon off; (pid 123)``.

    None means that nobody does, or that the system does not tell. A listener on all
    addresses counts, one on another address does not.
    """
    wanted = _addresses(host)
    if platform.startswith("linux"):
        return _from_proc("/proc", wanted, port)
    if platform == "win32":
        return _from_netstat(run, wanted, port)
    return _from_lsof(run, wanted, port)


def covers(listener: Address, wanted: Iterable[Address]) -> bool:
    """Return whether a socket bound to *listener* stands in the way of one of *wanted*."""
    for address in wanted:
        if listener == address:
            return True
        # "::" usually takes IPv4 as well, "0.0.0.0" never takes IPv6.
        if listener.is_unspecified and listener.version >= address.version:
            return True
        if address.is_unspecified and address.version >= listener.version:
            return True
    return False


def _addresses(host: str) -> list[Address]:
    import socket

    try:
        return [_plain(host)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [_plain(str(entry[4][0])) for entry in found]


def _plain(text: str) -> Address:
    """Return an address without brackets, scope and IPv4-in-IPv6 wrapping."""
    address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


# Linux


def _from_proc(proc: str, wanted: list[Address], port: int) -> str | None:
    owners = dict(_listeners(proc, wanted, port))
    if not owners:
        return None
    pid = _pid_of(proc, {f"socket:[{inode}]" for inode in owners})
    if pid is None:
        return f"a process of user {_user(next(iter(owners.values())))}"
    return f"{_command(proc, pid)} (pid {pid})"


def _listeners(proc: str, wanted: list[Address], port: int) -> Iterator[tuple[str, int]]:
    """Yield inode and user id of each matching socket in state LISTEN."""
    for table in ("tcp", "tcp6"):
        try:
            with open(f"{proc}/net/{table}", encoding="ascii") as file:
                rows = file.read().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            place, _, number = fields[1].partition(":")
            if fields[3] == "0A" and int(number, 16) == port and covers(_from_hex(place), wanted):
                yield fields[9], int(fields[7])


def _from_hex(place: str) -> Address:
    """Decode an address of ``/proc/net/tcp``: 32-bit words in the byte order of the machine."""
    raw = bytes.fromhex(place)
    words = [raw[start : start + 4] for start in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return _plain(str(ipaddress.ip_address(b"".join(words))))


def _pid_of(proc: str, links: set[str]) -> int | None:
    for pid in sorted(int(entry) for entry in os.listdir(proc) if entry.isdigit()):
        try:
            with os.scandir(f"{proc}/{pid}/fd") as descriptors:
                if any(_link(entry.path) in links for entry in descriptors):
                    return pid
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return None


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _command(proc: str, pid: int) -> str:
    try:
        with open(f"{proc}/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").split(b"\0")
        command = b" ".join(words).decode(errors="replace").strip()
    except OSError:
        command = ""
    if not command.isprintable():
        command = "".join(letter if letter.isprintable() else " " for letter in command)
    if len(command) > _COMMAND_LIMIT:
        command = command[: _COMMAND_LIMIT - 3] + "..."
    return command or "a process"


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# macOS and the BSDs


def _from_lsof(run: Run, wanted: list[Address], port: int) -> str | None:
    pid = command = ""
    for line in run(["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpcn"]).splitlines():
        kind, value = line[:1], line[1:]
        if kind == "p":
            pid = value
        elif kind == "c":
            command = value
        elif kind == "n" and _is_at(value, wanted, port):
            return f"{command} (pid {pid})"
    return None


def _is_at(place: str, wanted: list[Address], port: int) -> bool:
    address, _, number = place.rpartition(":")
    if number != str(port):
        return False
    if address == "*":
        return True
    try:
        return covers(_plain(address), wanted)
    except ValueError:
        return False


# Windows


def _from_netstat(run: Run, wanted: list[Address], port: int) -> str | None:
    for line in run(["netstat", "-ano"]).splitlines():
        fields = line.split()
        # The word for LISTENING is translated; a far end with port 0 says the same.
        if len(fields) < 4 or fields[0] != "TCP" or not fields[2].endswith(":0"):
            continue
        if _is_at(fields[1], wanted, port):
            pid = fields[-1]
            listed = run(["tasklist", "/FI", f"PID eq {pid}", "/FO", "CSV", "/NH"]).strip()
            name = listed[1:].partition('"')[0] if listed.startswith('"') else "a process"
            return f"{name} (pid {pid})"
    return None
