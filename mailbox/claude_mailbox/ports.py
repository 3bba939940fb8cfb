"""Which process holds a TCP port: from ``/proc``, ``lsof`` or ``netstat``.

It is at the top of the package because the daemon, autostart and ``doctor`` all name the process
that has taken the daemon's port, and the client side may import nothing of the daemon.
"""

import ipaddress
import os
import sys
from collections.abc import Callable, Iterable, Iterator

CommandOutput = Callable[[list[str]], str]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_COMMAND_LIMIT = 80
_LISTEN = "0A"


def command_output(command: list[str]) -> str:
    """Return what *command* prints, or an empty string if it fails or is not installed."""
    import subprocess

    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def port_owner(
    host: str, port: int, *, run: CommandOutput = command_output, platform: str = sys.platform
) -> str | None:
    """Return the process that holds *host*:*port*, as ``nginx -g daemon off; (pid 123)``.

    A process that listens on all addresses counts, one on another address does not. If nobody
    listens there, on Linux also the process of a connection that leaves from this port.

    Args:
        host: name or address.
        port: TCP port.
        run: runs a command and returns its output.
        platform: value of ``sys.platform``.

    Returns:
        None if nobody holds it, or the system does not tell who.
    """
    wanted = _addresses(host)
    if platform.startswith("linux"):
        return _from_proc("/proc", wanted, port)
    if platform == "win32":
        return _from_netstat(run, wanted, port)
    return _from_lsof(run, wanted, port)


def covers(listening: IPAddress, wanted: Iterable[IPAddress]) -> bool:
    """Return whether a socket that listens on *listening* blocks one of the *wanted* addresses."""
    for address in wanted:
        if listening == address:
            return True
        # "::" usually takes IPv4 as well, "0.0.0.0" never takes IPv6.
        if listening.is_unspecified and listening.version >= address.version:
            return True
        if address.is_unspecified and address.version >= listening.version:
            return True
    return False


def _addresses(host: str) -> list[IPAddress]:
    import socket

    try:
        return [_parse(host)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [_parse(str(entry[4][0])) for entry in found]


def _parse(text: str) -> IPAddress:
    """Parse an address with or without brackets and scope; IPv4 inside IPv6 becomes IPv4."""
    address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


# Linux


def _from_proc(proc: str, wanted: list[IPAddress], port: int) -> str | None:
    sockets = list(_sockets(proc, wanted, port))
    listening = [(inode, user) for state, inode, user in sockets if state == _LISTEN]
    user_ids = dict(listening or [(inode, user) for _, inode, user in sockets])
    if not user_ids:
        return None
    pid = _pid_with_file(proc, {f"socket:[{inode}]" for inode in user_ids})
    if pid is None and set(user_ids) == {"0"}:
        return "a connection that has ended, for a minute at most"
    if pid is None:
        return f"a process of user {_user_name(next(iter(user_ids.values())))}"
    return f"{_command(proc, pid)} (pid {pid})"


def _sockets(proc: str, wanted: list[IPAddress], port: int) -> Iterator[tuple[str, str, int]]:
    """Yield state, inode and user id of each socket that has the port at this end."""
    for table in ("tcp", "tcp6"):
        try:
            with open(f"{proc}/net/{table}", encoding="ascii") as file:
                rows = file.read().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            address, _, number = fields[1].partition(":")
            if int(number, 16) == port and covers(_from_hex(address), wanted):
                yield fields[3], fields[9], int(fields[7])


def _from_hex(text: str) -> IPAddress:
    """Decode an address of ``/proc/net/tcp``: 32-bit words in the byte order of the machine."""
    raw = bytes.fromhex(text)
    words = [raw[start : start + 4] for start in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return _parse(str(ipaddress.ip_address(b"".join(words))))


def _pid_with_file(proc: str, links: set[str]) -> int | None:
    for pid in sorted(int(entry) for entry in os.listdir(proc) if entry.isdigit()):
        try:
            with os.scandir(f"{proc}/{pid}/fd") as descriptors:
                if any(_link(entry.path) in links for entry in descriptors):
                    return pid
        except OSError:
            continue  # the process has ended, or belongs to another user
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


def _user_name(user_id: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


# macOS and the BSDs


def _from_lsof(run: CommandOutput, wanted: list[IPAddress], port: int) -> str | None:
    pid = command = ""
    for line in run(["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpcn"]).splitlines():
        kind, value = line[:1], line[1:]
        if kind == "p":
            pid = value
        elif kind == "c":
            command = value
        elif kind == "n" and _matches(value, wanted, port):
            return f"{command} (pid {pid})"
    return None


def _matches(endpoint: str, wanted: list[IPAddress], port: int) -> bool:
    address, _, number = endpoint.rpartition(":")
    if number != str(port):
        return False
    if address == "*":
        return True
    try:
        return covers(_parse(address), wanted)
    except ValueError:
        return False


# Windows


def _from_netstat(run: CommandOutput, wanted: list[IPAddress], port: int) -> str | None:
    for line in run(["netstat", "-ano"]).splitlines():
        fields = line.split()
        # Windows translates the word LISTENING, but only such sockets have a remote port of 0.
        if len(fields) < 4 or fields[0] != "TCP" or not fields[2].endswith(":0"):
            continue
        if _matches(fields[1], wanted, port):
            pid = fields[-1]
            listed = run(["tasklist", "/FI", f"PID eq {pid}", "/FO", "CSV", "/NH"]).strip()
            name = listed[1:].partition('"')[0] if listed.startswith('"') else "a process"
            return f"{name} (pid {pid})"
    return None
