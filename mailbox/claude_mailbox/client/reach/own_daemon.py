"""Connects to the daemon of our home folder, and to no other server.

Only our user can enter the home folder, so a server on its socket is ours. Any user of this machine
can listen on a TCP port, so TCP is used only where there can be no Unix socket, and only if the server
proves that it knows the secret in the home folder.
"""

import os

from claude_mailbox import paths
from claude_mailbox.client import codec
from claude_mailbox.client.reach.address import Address, own_socket, parse_url
from claude_mailbox.client.reach.connection import Connection, SocketForbidden
from claude_mailbox.errors import DaemonUnreachable

_PROOF_SECONDS = 5.0


def connect_own(seconds: float) -> Connection:
    """Return an open connection to the daemon of our home folder, within so many seconds.

    Raises:
        DaemonUnreachable: if it does not run, or cannot be reached.
        ConfigError: if the home folder is not an absolute path.
    """
    address = own_socket()
    failure: DaemonUnreachable | None = None
    if address is not None:
        try:
            return Connection(address, seconds=seconds)
        except DaemonUnreachable as error:
            failure = error
    urls = _urls()
    has_socket = any(url.startswith("unix:") for url in urls)
    if not has_socket or isinstance(failure, SocketForbidden):
        for url in urls:
            if url.startswith("http:"):
                return _connect_tcp(parse_url(url))
    raise failure or DaemonUnreachable(
        f"No daemon runs in {paths.home()}: start it with 'claude-mailbox start'."
    )


def running_tcp() -> Address | None:
    """Return the TCP address of the daemon that runs in our home folder, if it has one."""
    return next((parse_url(url) for url in _urls() if url.startswith("http:")), None)


def _urls() -> list[str]:
    """Return the addresses of the daemon that runs in our home folder."""
    # Imported here because it is not needed with the Unix socket.
    from claude_mailbox.client.reach.lock_file import running_daemon

    addresses = (running_daemon() or {}).get("addresses")
    return [str(url) for url in addresses] if isinstance(addresses, list) else []


def _connect_tcp(address: Address) -> Connection:
    """Return a connection to a server that proves to know the secret in the home folder."""
    # Imported here because it is rarely needed.
    import hmac

    connection = Connection(address)
    nonce = os.urandom(16).hex()
    try:
        with open(paths.secret_path(), "rb") as file:
            secret = file.read()
        target = f"/v1/identity?nonce={nonce}"
        response = connection.request("GET", target, [], seconds=_PROOF_SECONDS)
        value = codec.decode(response.body)
        proof = value.get("proof") if isinstance(value, dict) else None
    except (OSError, ValueError):
        proof = None
    # With the port, so that another server cannot relay the question to our daemon.
    expected = (
        hmac.digest(secret, f"{nonce} {address.port}".encode(), "sha256").hex() if proof else ""
    )
    if not proof or not hmac.compare_digest(str(proof).encode(), expected.encode()):
        connection.close()
        raise DaemonUnreachable(
            f"The server at {address} is not the daemon of {paths.home()}: see"
            " 'claude-mailbox doctor'."
        )
    return connection
