"""Who is at the other end of a connection: on loopback TCP the user, on a Unix socket also the process.

Only Linux tells. For TCP it is asked about that one connection with sock_diag(7), which takes some
microseconds.
"""

import socket
import struct
import sys
from dataclasses import dataclass

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_FLAG = 1
_ALL_STATES = 0xFFFFFFFF
# struct nlmsghdr and struct inet_diag_req_v2, which ends with a struct inet_diag_sockid.
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI")
_PORTS = struct.Struct("!HH")
_ANY_INTERFACE_AND_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
# Its offset in the answer: the header, four bytes, the inet_diag_sockid, and three numbers.
_USER = struct.Struct("=I")
_USER_OFFSET = _HEADER.size + 4 + 48 + 12
_SECONDS = 0.2
# struct ucred of unix(7): process, user, group.
_CREDENTIALS = struct.Struct("=iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        user: id of its user on this machine, or None if that is unknown.
        process: its process id, or None.
    """

    user: int | None = None
    process: int | None = None


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end, as far as the system tells."""
    if sys.platform != "linux":
        return Peer()
    if connection.family == socket.AF_UNIX:
        size = _CREDENTIALS.size
        answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        process, user, _ = _CREDENTIALS.unpack(answer)
        # 0: a process in a container, whose id means nothing here.
        return Peer(user, process or None)
    return Peer(_user_of_tcp_peer(connection))


def _user_of_tcp_peer(connection: socket.socket) -> int | None:
    try:
        here, there = connection.getsockname(), connection.getpeername()
        # The question is about the peer's socket, for which the addresses are the other way round.
        question = _question(connection.family, there, here)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(_SECONDS)
            kernel.send(question)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _USER_OFFSET + 4 or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    user: int = _USER.unpack_from(answer, _USER_OFFSET)[0]
    return user


def _question(family: int, source: tuple[object, ...], target: tuple[object, ...]) -> bytes:
    addresses = b"".join(
        socket.inet_pton(family, str(host).partition("%")[0]).ljust(16, b"\0")
        for host in (source[0], target[0])
    )
    body = (
        _QUESTION.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES)
        + _PORTS.pack(source[1], target[1])
        + addresses
        + _ANY_INTERFACE_AND_COOKIE
    )
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_FLAG, 0, 0)
    return header + body
