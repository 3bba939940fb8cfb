"""File descriptors: as many as the system gives us, and how many of them are for connections.

Each listener has a share of its own. So whoever can connect to the TCP port cannot use up what the
hooks need, which come by the Unix socket.
"""

import contextlib
import sys

# More connections than anybody needs, on each listener.
CONNECTIONS_LIMIT = 4096
# What the daemon needs besides: files of the database, threads, bells, imports.
_OWN = 40
_FEWEST = 4
# The second is what macOS allows at most where nobody has raised that.
_WANTED = (16_384, 10_240)

if sys.platform == "win32":

    def raise_limit() -> int:
        """Return how many descriptors the process may have; Windows has no limit of that kind."""
        return _WANTED[0]

else:
    import resource

    def raise_limit() -> int:
        """Raise the soft limit of descriptors as far as we need; return it."""
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
