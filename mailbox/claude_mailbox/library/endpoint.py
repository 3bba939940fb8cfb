"""Where the library finds the daemon, and how it says who calls."""

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from claude_mailbox.client.reach.address import explicit_address, own_socket
from claude_mailbox.client.reach.own_daemon import connect_own
from claude_mailbox.client.reach.tls import trusted
from claude_mailbox.client.reach.token import token_for
from claude_mailbox.errors import InvalidName

_SECONDS = 5.0


@dataclass(frozen=True)
class Endpoint:
    """Where the daemon is, as httpx wants it.

    Attributes:
        url: the base URL.
        socket: path of the Unix socket, or None.
        headers: what every request carries.
        verify: how the server of an ``https`` URL is verified.
    """

    url: str
    socket: str | None
    headers: dict[str, str]
    verify: ssl.SSLContext | bool

    def client_arguments(self) -> dict[str, Any]:
        """Return the arguments of both clients of httpx."""
        is_remote = self.url.startswith("https:")
        # A proxy of the environment is for other machines.
        return {"base_url": self.url, "headers": self.headers, "trust_env": is_remote}


def find_endpoint(
    name: str, url: str | None, token: str | None, verify: ssl.SSLContext | bool
) -> Endpoint:
    """Return where the daemon is: at *url*, at ``CLAUDE_MAILBOX_URL``, or in the home folder.

    Raises:
        ConfigError: if the URL is malformed, or a token would be sent for everybody to read.
        DaemonUnreachable: if our own daemon has no Unix socket and does not run.
    """
    headers = identity(name)
    address = explicit_address(url) or own_socket()
    if address is None:
        # No Unix socket here: TCP, once the server has proved that it knows our home folder.
        connection = connect_own(_SECONDS)
        address = connection.address
        connection.close()
    if address.path is None and (secret := token or token_for(address)):
        headers["Authorization"] = f"Bearer {secret}"
    if not address.is_tls:
        # There is nothing to verify, and to load the authorities takes 20 ms.
        verify = False
    elif verify is True:
        verify = trusted()
    scheme = "https" if address.is_tls else "http"
    return Endpoint(f"{scheme}://{address.authority}", address.path, headers, verify)


def identity(name: str) -> dict[str, str]:
    """Return the header that says whose mailbox the caller has.

    Raises:
        InvalidName: if the name is empty, or cannot be sent.
    """
    name = name.strip()
    if not name or not name.isprintable():
        raise InvalidName("The name of the mailbox is empty, or has a control character.")
    return {"X-Mailbox": name if name.isascii() else quote(name)}
