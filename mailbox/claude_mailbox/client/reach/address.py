"""Where the daemon is: an explicit URL, or the home folder's socket, or loopback TCP."""

import os
import sys

from claude_mailbox import paths
from claude_mailbox.errors import ConfigError

_FORM = "give http://HOST:PORT or unix:/PATH"
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what a client connects to


class Address:
    """A Unix socket (`path`), or a TCP endpoint (`host` and `port`).

    Attributes:
        path: path of the Unix socket, or None.
        host: host name or address without brackets; empty for a Unix socket.
        port: TCP port; 0 for a Unix socket.
    """

    __slots__ = ("host", "path", "port")

    def __init__(self, *, path: str | None = None, host: str = "", port: int = 0) -> None:
        self.path = path
        self.host = host
        self.port = port

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        if self.path is not None:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.authority}" if self.path is None else f"unix:{self.path}"

    def __repr__(self) -> str:
        return f"<Address {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def parse_url(url: str) -> Address:
    """Return the address that *url* names.

    Raises:
        ConfigError: if it is neither ``http://HOST[:PORT]`` nor ``unix:/PATH``.
    """
    text = url.strip()
    if not text.isprintable() or " " in text:
        raise ConfigError(f"The daemon's URL {url!r} has characters that no URL has: {_FORM}.")
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme == "unix" and colon:
        path = rest.removeprefix("//")
        if not path.startswith("/"):
            raise ConfigError(f"The daemon's URL {text} needs an absolute path: {_FORM}.")
        return Address(path=path)
    if scheme != "http" or not rest.startswith("//"):
        raise ConfigError(f"The daemon's URL {text} is not understood: {_FORM}.")
    authority = rest[2:].removesuffix("/")
    if not authority or any(mark in authority for mark in "/?#@\\"):
        raise ConfigError(f"The daemon's URL {text} must have a host and nothing more: {_FORM}.")
    host, port = _split_authority(authority, text)
    return Address(host=host, port=port)


def _split_authority(authority: str, url: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        colon, digits = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise ConfigError(f"The daemon's URL {url} has a broken IPv6 address: {_FORM}.")
    else:
        host, colon, digits = authority.partition(":")
    if not colon:
        digits = "80"
    if not host or not (digits.isascii() and digits.isdigit()) or not 0 < int(digits) < 65536:
        raise ConfigError(f"The daemon's URL {url} has no valid host and port: {_FORM}.")
    return host, int(digits)


def candidates(url: str | None = None, *, private: bool = False) -> list[Address]:
    """Return the addresses to try, in order.

    Args:
        url: the address that the user gave; ``CLAUDE_MAILBOX_URL`` stands in for it, unless it
            names the TCP port of this home folder's own daemon, as tools need it.
        private: leave the TCP port out where a Unix socket can be used. Another user of the
            machine may hold the port while the daemon is down, and must not talk to a hook.

    Raises:
        ConfigError: if the URL or ``mailbox.json`` is malformed.
    """
    elsewhere = given(url)
    if elsewhere is not None:
        return [elsewhere]
    path = paths.socket_path()
    # A socket on a path that is too long cannot be: such a daemon has TCP alone.
    if sys.platform != "win32" and len(os.fsencode(path)) <= paths.SOCKET_PATH_LIMIT:
        unix = Address(path=path)
        if private:
            return [unix]
        if os.path.exists(path):
            return [unix, configured_tcp()]
    return [configured_tcp()]


def is_default(url: str | None = None) -> bool:
    """Say whether the address is the home folder's own, so that we may start a daemon there.

    Raises:
        ConfigError: if the URL or ``mailbox.json`` is malformed.
    """
    return given(url) is None


def given(url: str | None) -> Address | None:
    """Return the address of a daemon elsewhere, or None when it is this home folder's own."""
    if url:
        return parse_url(url)
    text = os.environ.get("CLAUDE_MAILBOX_URL")
    if not text:
        return None
    place = parse_url(text)
    host = "127.0.0.1" if place.host == "localhost" else place.host
    return None if Address(host=host, port=place.port) == configured_tcp() else place


def configured_tcp() -> Address:
    """Return the TCP address of ``mailbox.json``, where one of its places has it, or the default.

    Raises:
        ConfigError: if a file is there and is no JSON object with a usable `bind` and `port`.
    """
    bind: object = paths.DEFAULT_BIND
    port: object = paths.DEFAULT_PORT
    for place in paths.config_paths():
        try:
            with open(place, "rb") as file:
                data = file.read()
        except OSError:
            continue
        from claude_mailbox.client import codec

        try:
            content = codec.decode(data)
        except ValueError as error:
            raise ConfigError(f"The configuration {place} is not valid JSON: {error}.") from None
        if not isinstance(content, dict):
            raise ConfigError(f"The configuration {place} must be one JSON object.")
        bind = content.get("bind", bind)
        port = content.get("port", port)
    if not isinstance(bind, str) or not bind:
        raise ConfigError("'bind' in mailbox.json must be a string that is not empty.")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 65536:
        raise ConfigError("'port' in mailbox.json must be a whole number from 0 to 65535.")
    return Address(host=_ANY_ADDRESS.get(bind, bind), port=port)
