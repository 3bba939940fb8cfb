"""Where the daemon listens: at an explicit URL, or on the socket in the home folder."""

import os
import sys

from claude_mailbox import paths
from claude_mailbox.errors import ConfigError

_FORMS = "give https://HOST:PORT, http://HOST:PORT or unix:/PATH"
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Address:
    """A Unix socket (`path`), or a TCP endpoint (`host` and `port`).

    Attributes:
        path: path of the Unix socket, or None.
        host: host name or address without brackets; empty for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        is_tls: whether TLS is spoken there.
    """

    __slots__ = ("host", "is_tls", "path", "port")

    def __init__(
        self, *, path: str | None = None, host: str = "", port: int = 0, is_tls: bool = False
    ) -> None:
        self.path = path
        self.host = host
        self.port = port
        self.is_tls = is_tls

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        if self.path is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def wants_token(self) -> bool:
        """Whether the daemon there serves other machines, and so wants a token."""
        is_local = self.host in {"localhost", "::1"} or self.host.startswith("127.")
        return self.path is None and (self.is_tls or not is_local)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"

    def __repr__(self) -> str:
        return f"<Address {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def parse_url(url: str) -> Address:
    """Return the address that *url* names.

    Raises:
        ConfigError: if it is neither ``http[s]://HOST[:PORT]`` nor ``unix:/PATH``.
    """
    text = url.strip()
    if not text.isprintable() or " " in text:
        raise ConfigError(
            f"The daemon's URL {url!r} has characters that are not allowed in a URL: {_FORMS}."
        )
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme == "unix" and colon:
        path = rest.removeprefix("//")
        if not path.startswith("/"):
            raise ConfigError(f"The daemon's URL {text} needs an absolute path: {_FORMS}.")
        return Address(path=path)
    if scheme not in _DEFAULT_PORTS or not rest.startswith("//"):
        raise ConfigError(f"The daemon's URL {text} is not understood: {_FORMS}.")
    authority = rest[2:].removesuffix("/")
    if not authority or any(mark in authority for mark in "/?#@\\"):
        raise ConfigError(f"The daemon's URL {text} must have a host and nothing more: {_FORMS}.")
    host, port = _split_authority(authority, text, _DEFAULT_PORTS[scheme])
    return Address(host=host, port=port, is_tls=scheme == "https")


def _split_authority(authority: str, url: str, default_port: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        colon, digits = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise ConfigError(f"The daemon's URL {url} has a broken IPv6 address: {_FORMS}.")
    else:
        host, colon, digits = authority.partition(":")
    if not colon:
        digits = default_port
    if not host or not (digits.isascii() and digits.isdigit()) or not 0 < int(digits) < 65536:
        raise ConfigError(f"The daemon's URL {url} has no valid host and port: {_FORMS}.")
    return host, int(digits)


def own_socket() -> Address | None:
    """Return the Unix socket in the home folder, or None where there can be none.

    Raises:
        ConfigError: if the home folder is not an absolute path.
    """
    path = paths.socket_path()
    # The daemon cannot listen on a path that is too long: then it has TCP alone.
    if sys.platform == "win32" or len(os.fsencode(path)) > paths.SOCKET_PATH_LIMIT:
        return None
    return Address(path=path)


def is_own_daemon(url: str | None = None) -> bool:
    """Return whether *url* leads to the daemon of our home folder, which we may start.

    Raises:
        ConfigError: if the URL or ``mailbox.json`` is malformed.
    """
    return explicit_address(url) is None


def explicit_address(url: str | None) -> Address | None:
    """Return the address that the user gave, or None if that is our own daemon's address.

    Raises:
        ConfigError: if the URL or ``mailbox.json`` is malformed.
    """
    if url:
        return parse_url(url)
    from_environment = os.environ.get("CLAUDE_MAILBOX_URL", "").strip()
    if not from_environment:
        return None
    address = parse_url(from_environment)
    host = "127.0.0.1" if address.host == "localhost" else address.host
    plain = Address(host=host, port=address.port, is_tls=address.is_tls)
    return None if plain == configured_tcp() else address


def configurations() -> list[tuple[str, dict[str, object]]]:
    """Return the path and content of each configuration file that there is; later ones win.

    Raises:
        ConfigError: if a file is not a JSON object.
    """
    found = []
    for path in paths.config_paths():
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        from claude_mailbox.client import codec

        try:
            content = codec.decode(data)
        except ValueError as error:
            raise ConfigError(f"The configuration {path} is not valid JSON: {error}.") from None
        if not isinstance(content, dict):
            raise ConfigError(f"The configuration {path} must be one JSON object.")
        found.append((path, content))
    return found


def configured_tcp() -> Address:
    """Return the TCP address for this machine that ``mailbox.json`` sets, or the default.

    The port is 0 if there is none, or none that is known before the daemon runs.

    Raises:
        ConfigError: if a file is not a JSON object with a usable `bind` and `port`.
    """
    bind: object = paths.DEFAULT_BIND
    port: object = paths.DEFAULT_PORT
    is_network = False
    local_port: object = 0
    for _, content in configurations():
        bind = content.get("bind", bind)
        port = content.get("port", port)
        is_network = bool(content.get("tlsCert") or content.get("behindProxy")) or is_network
        local_port = content.get("localPort", local_port)
    if is_network:
        bind, port = paths.DEFAULT_BIND, local_port
    if not isinstance(bind, str) or not bind:
        raise ConfigError("'bind' in mailbox.json must be a string that is not empty.")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 65536:
        raise ConfigError("'port' in mailbox.json must be a whole number from 0 to 65535.")
    return Address(host=reachable_host(bind), port=port)


def reachable_host(bind: str) -> str:
    """Return the host at which a client reaches a daemon that listens on *bind*."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104
