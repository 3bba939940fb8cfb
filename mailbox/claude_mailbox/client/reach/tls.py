"""TLS over a connected socket. Only connections to other machines import this."""

import os
import socket
import ssl

from claude_mailbox.errors import ConfigError, DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from claude_mailbox.client.reach.address import Address


class TlsSocket:
    """Behaves like a socket of ``_socket``, as far as `connection.Connection` uses one."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls

    def settimeout(self, seconds: float | None) -> None:
        self._tls.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        self._tls.sendall(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come. With flags it is only asked whether something has."""
        try:
            return self._tls.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        # That of SSLSocket would take what comes afterwards for plain text.
        socket.socket.shutdown(self._tls, how)

    def fileno(self) -> int:
        return self._tls.fileno()

    def close(self) -> None:
        self._tls.close()


def wrap(raw: "_socket.socket", address: "Address") -> TlsSocket:
    """Return *raw*, which is connected and has a time-out, with TLS over it.

    Raises:
        DaemonUnreachable: if the server speaks no TLS, or has no certificate that can be trusted.
        ConfigError: if ``CLAUDE_MAILBOX_CA`` cannot be read.
        OSError: if the connection ends, or the time is over.
    """
    seconds = raw.gettimeout()
    plain = socket.socket(fileno=raw.detach())
    plain.settimeout(seconds)
    try:
        return TlsSocket(trusted().wrap_socket(plain, server_hostname=address.host))
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise DaemonUnreachable(
            f"The certificate of {address} cannot be trusted ({error.verify_message}): name the"
            " file of its authority in CLAUDE_MAILBOX_CA, and address the daemon by the name in its"
            " certificate."
        ) from None
    except ssl.SSLError as error:
        plain.close()
        reason = error.reason or error
        raise DaemonUnreachable(
            f"The server at {address} does not speak TLS as we do ({reason}): check the address."
        ) from None
    except BaseException:
        plain.close()
        raise


def trusted() -> ssl.SSLContext:
    """Return the trust in the system's authorities, or in that of ``CLAUDE_MAILBOX_CA`` alone.

    Raises:
        ConfigError: if ``CLAUDE_MAILBOX_CA`` cannot be read.
    """
    given = os.environ.get("CLAUDE_MAILBOX_CA", "").strip()
    path = os.path.expanduser(given) if given else None
    try:
        context = ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ConfigError(
            f"CLAUDE_MAILBOX_CA names no file with certificates in PEM: {given}"
            f" ({error.strerror or error})."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
