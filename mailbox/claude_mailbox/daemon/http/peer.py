"""Which user of this machine a TCP client on loopback is.

Linux alone tells, by a question about that one connection (sock_diag(7)), which takes some
microseconds however many connections there are.
"""

import socket
import struct
import sys

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_FLAG = 1
_ALL_STATES = 0xFFFFFFFF
# struct nlmsghdr and struct inet_diag_req_v2, which ends with a struct inet_diag_sockid.
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI")
_PORTS = struct.Struct("!HH")
_ANY_INTERFACE_AND_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
# In the answer, after the header: family, state, timer, retransmissions, id, expires, two queues.
_USER = struct.Struct("=I")
_USER_OFFSET = _HEADER.size + 4 + 48 + 12
_SECONDS = 0.2


def user_of_peer(connection: socket.socket) -> int | None:
    """Return the id of the user whose socket is at the other end, or None if nobody can tell."""
    if sys.platform != "linux" or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        here, there = connection.getsockname(), connection.getpeername()
        # To the peer it is the other way round: its own address is where it connects from.
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
