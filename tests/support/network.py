"""A daemon for other machines: with a certificate and a token, on loopback all the same."""

import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from claude_mailbox.client.reach.api import Daemon
from support.daemon import DaemonProcess


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class TlsAddress:
    """Where a daemon speaks TLS, and what a client needs for it."""

    host: str
    port: int
    token: str
    context: ssl.SSLContext


class NetworkDaemon(DaemonProcess):
    """A `DaemonProcess` that other machines could reach, with one token for all mailboxes.

    Attributes:
        token: the token; known once it runs.
        authority: file with the certificate of its authority.

    Args:
        settings: further keys for ``mailbox.json``.
        patterns: the mailboxes of the token.
        names: what its certificate is for.
        arguments: further arguments of ``serve``.
        command: what to run instead of this Python, up to but without ``serve``.
    """

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        patterns: Sequence[str] = ("*",),
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        arguments: Sequence[str] = (),
        command: Sequence[str] | None = None,
    ) -> None:
        super().__init__(settings, arguments=arguments, command=command)
        self._patterns = list(patterns)
        self.token = ""
        folder = Path(self._folder.name)
        authority = trustme.CA()
        certificate = authority.issue_cert(*names)
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        chain, key = folder / "certificate.pem", folder / "key.pem"
        for index, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(chain, append=index > 0)
        certificate.private_key_pem.write_to_path(key)
        self.settings |= {"tlsCert": str(chain), "tlsKey": str(key)}

    def start(self) -> None:
        super().start()
        if not self.token:
            self.token = self.create_token(*self._patterns)

    def create_token(self, *patterns: str, days: float = 1) -> str:
        """Return a new token."""
        with Daemon(f"unix:{self.socket_path}") as daemon:
            body = {"mailboxes": list(patterns), "days": days}
            made = daemon.call("POST", "/v1/tokens", body=body).value
        assert isinstance(made, dict)
        return str(made["token"])

    @property
    def tls_port(self) -> int:
        """The port for other machines."""
        addresses = json.loads((self.home / "mailbox.lock").read_text())["addresses"]
        url = next(address for address in addresses if address.startswith("https:"))
        return int(url.rpartition(":")[2])

    def tls_address(self, token: str | None = None) -> TlsAddress:
        """Return where it listens, and a token for it."""
        context = ssl.create_default_context(cafile=str(self.authority))
        return TlsAddress("127.0.0.1", self.tls_port, token or self.token, context)

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables by which our commands use it, wherever they run."""
        return {
            "CLAUDE_MAILBOX_URL": f"https://localhost:{self.tls_port}",
            "CLAUDE_MAILBOX_CA": str(self.authority),
            "CLAUDE_MAILBOX_TOKEN": self.token,
        }
