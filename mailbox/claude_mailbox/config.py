"""Configuration: a flag wins over ``mailbox.json``, which wins over the default.

The address of a PostgreSQL database may come by the environment, because it may have a password:
that wins over the file.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from claude_mailbox import paths
from claude_mailbox.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one daemon. Minutes of 0 switch an age limit off, so do numbers of messages.

    Attributes:
        port: TCP port, 0 for any free one.
        bind: address to listen on.
        db_path: the SQLite file.
        database_url: the PostgreSQL database that is used instead, or empty.
        hide_after_minutes: idle mailboxes older than this are left out of lists.
        delete_after_minutes: idle mailboxes older than this, with nothing pending, are deleted.
        sweep_interval_minutes: how often stale mailboxes are looked for; 0 for never.
        max_body_bytes: size of one message, in bytes of UTF-8.
        max_pending_per_mailbox: undelivered messages that one mailbox may hold.
        max_mailboxes: mailboxes that there may be.
        max_waiters_per_mailbox: open watches on one mailbox.
        max_attempts: how often a message is handed out before it is parked; 0 for no limit.
        keep_days: how long the text of mail that is not on its way any more is kept; 0 for ever.
        log_format: ``text``, or ``json`` for one object a line.
        max_per_minute: messages a minute from one mailbox to a session.
        guard_after: messages between two sessions, after which they are told that they are many.
        hold_after: messages between two sessions, from which on they are held for the user.
        guard_minutes: for how long a message counts for these two.
        max_recipients: mailboxes that one message to a group goes to.
        allowed_hosts: further host names that clients may address the daemon by.
        tls_cert: file with the certificate, and those between it and its authority; or empty.
        tls_key: file with its key; or empty.
        behind_proxy: a proxy of this network speaks TLS with the clients, and passes them on.
        local_port: TCP port on loopback for this machine, where ``port`` is for others; 0 for none.
        token_file: file with the token that our own clients send to a daemon elsewhere; or empty.
        user_mailbox: name of the mailbox of the person at this machine.
    """

    port: int = paths.DEFAULT_PORT
    bind: str = paths.DEFAULT_BIND
    db_path: str = ""
    database_url: str = ""
    hide_after_minutes: int = 1440
    delete_after_minutes: int = 10080
    sweep_interval_minutes: int = 60
    max_body_bytes: int = 1024 * 1024
    max_pending_per_mailbox: int = 100_000
    max_mailboxes: int = 10_000
    max_waiters_per_mailbox: int = 1024
    max_attempts: int = 25
    keep_days: int = 0
    log_format: str = "text"
    max_per_minute: int = 60
    guard_after: int = 12
    hold_after: int = 40
    guard_minutes: int = 10
    max_recipients: int = 50
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    local_port: int = 0
    token_file: str = ""
    user_mailbox: str = "user"

    @property
    def serves_network(self) -> bool:
        """Whether TCP is for other machines: then every request on ``port`` needs a token."""
        return bool(self.tls_cert) or self.behind_proxy


def camel_case(name: str) -> str:
    """Return the JSON spelling of a field name."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


# The smallest and largest value of each whole number.
_RANGES = {
    "port": (0, 65535),
    "localPort": (0, 65535),
    "maxBodyBytes": (1, 64 * 1024 * 1024),
    "maxPendingPerMailbox": (1, 10**9),
    "maxMailboxes": (1, 10**9),
    "maxWaitersPerMailbox": (1, 10**6),
    "maxAttempts": (0, 10**6),
    "keepDays": (0, 36_500),
    "maxPerMinute": (0, 10**4),
    "guardAfter": (0, 10**4),
    "holdAfter": (0, 10**4),
    "guardMinutes": (1, 12 * 60),
    "maxRecipients": (1, 1000),
    "hideAfterMinutes": (0, 10**9),
    "deleteAfterMinutes": (0, 10**9),
    "sweepIntervalMinutes": (0, 10**9),
}
LOG_FORMATS = ("text", "json")
# A relative one is relative to the file that names it.
_PATHS = ("dbPath", "tlsCert", "tlsKey", "tokenFile")
KEYS = {camel_case(field.name): field.name for field in fields(Config)}
# The flags of ``serve`` that are not spelled as their keys.
_FLAGS = {"databaseUrl": "--database"}


def flag_of(key: str) -> str:
    """Return the flag of ``serve`` for a key."""
    return _FLAGS.get(key, f"--{KEYS[key].replace('_', '-')}")


def load(flags: Mapping[str, object] | None = None, path: str | None = None) -> Config:
    """Read the configuration.

    Args:
        flags: values given on the command line, by JSON key; None means not given.
        path: the file to read instead of the usual places; it must exist.

    Raises:
        ConfigError: if a file cannot be read or is no JSON object, or a key is unknown or has
            a wrong type or value; the sentence names the file and the key.
    """
    values: dict[str, object] = {}
    if path is not None:
        path = paths.absolute(path, "'--config'")
    places = [path] if path is not None else paths.config_paths()
    for place in places:
        if path is not None or os.path.exists(place):
            values.update(_read(place))
    if from_environment := os.environ.get("CLAUDE_MAILBOX_DATABASE"):
        checked = _check("databaseUrl", from_environment, "in CLAUDE_MAILBOX_DATABASE")
        values["database_url"] = checked
    for key, value in (flags or {}).items():
        if value is not None:
            checked = _check(key, value, "on the command line")
            if key == "dbPath":
                checked = paths.absolute(str(checked), "'--db-path'")
            elif key in _PATHS:
                checked = os.path.abspath(os.path.expanduser(str(checked)))
            values[KEYS[key]] = checked
    if not values.get("db_path"):
        values["db_path"] = paths.database_path()
    config = Config(**values)  # type: ignore[arg-type]  # every value went through _check
    _check_network(config)
    return config


def _check_network(config: Config) -> None:
    if bool(config.tls_cert) != bool(config.tls_key):
        raise ConfigError("TLS needs both: give 'tlsCert' and 'tlsKey' (--tls-cert, --tls-key).")
    if not config.serves_network:
        if not is_loopback(config.bind):
            raise ConfigError(
                f"'bind' (--bind) is '{ascii(config.bind)[1:-1]}', which other machines can reach:"
                " give a certificate with --tls-cert and --tls-key, or set 'behindProxy' if a proxy"
                " in front speaks TLS; or bind to 127.0.0.1."
            )
        if config.local_port:
            raise ConfigError(
                "'localPort' is for a daemon that other machines reach: without TLS and without a"
                " proxy, 'port' is that of this machine."
            )
    if config.local_port and config.local_port == config.port:
        raise ConfigError(
            f"'localPort' and 'port' are both {config.port}: this machine and others need one each."
        )


def _read(place: str) -> dict[str, object]:
    try:
        with open(place, encoding="utf-8-sig") as file:
            content = json.load(file)
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {place}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The configuration {place} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"The configuration {place} must be one JSON object.")
    values = {}
    for key, value in content.items():
        if key not in KEYS:
            known = " ".join(KEYS)
            raise ConfigError(f"Unknown key '{key}' in {place}; the keys are: {known}.")
        checked = _check(key, value, f"in {place}")
        if key in _PATHS:
            folder = os.path.dirname(os.path.abspath(place))
            checked = os.path.normpath(os.path.join(folder, os.path.expanduser(str(checked))))
        values[KEYS[key]] = checked
    return values


def _check(key: str, value: object, where: str) -> object:
    if key in _RANGES:
        low, high = _RANGES[key]
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"'{key}' {where} must be a whole number.")
        if not low <= value <= high:
            raise ConfigError(f"'{key}' {where} must be from {low} to {high}, not {value}.")
        return value
    if key == "allowedHosts":
        if not isinstance(value, list | tuple) or not all(isinstance(host, str) for host in value):
            raise ConfigError(f"'{key}' {where} must be a list of host names.")
        return tuple(host.lower() for host in value)
    if key == "behindProxy":
        if not isinstance(value, bool):
            raise ConfigError(f"'{key}' {where} must be true or false.")
        return value
    if key == "logFormat" and value not in LOG_FORMATS:
        raise ConfigError(f"'{key}' {where} must be one of: {', '.join(LOG_FORMATS)}.")
    if not isinstance(value, str) or not value:
        raise ConfigError(f"'{key}' {where} must be a string that is not empty.")
    if key == "databaseUrl" and not value.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            f"'{key}' {where} (flag --database) must be the address of a PostgreSQL database, such as"
            " postgresql://user@host/name."
        )
    return value


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach that address."""
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
