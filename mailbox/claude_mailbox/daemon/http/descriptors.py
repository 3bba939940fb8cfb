"""The limit of file descriptors, and how many of them are for connections.

Each listener has its own share, so that clients of the TCP port cannot use up the descriptors that
hooks need, which use the Unix socket.
"""

import contextlib
import sys

# Most connections of one listener.
CONNECTIONS_LIMIT = 4096
# Descriptors for everything else: the database's files, threads, bells, imports.
_OWN = 40
_FEWEST = 4
# The second is macOS's own limit.
_WANTED = (16_384, 10_240)

if sys.platform == "win32":

    def raise_limit() -> int:
        """Return how many descriptors the process may have; Windows has no such limit."""
        return _WANTED[0]

else:
    import resource

    def raise_limit() -> int:
        """Raise the soft limit of descriptors as far as is useful and allowed; return it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for wanted in _WANTED:
            within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            if soft == resource.RLIM_INFINITY or soft >= within:
                break
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
                soft = within
                break
        return _WANTED[0] if soft == resource.RLIM_INFINITY else soft


def share(descriptors: int, listeners: int) -> int:
    """Return how many connections each of so many listeners may have."""
    return min(CONNECTIONS_LIMIT, max(_FEWEST, (descriptors - _OWN) // listeners))
