"""What ``doctor`` looks at, one function a concern. Nothing here changes anything."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass

from claude_mailbox import __version__, config, paths, ports
from claude_mailbox.cli.database import examine_database
from claude_mailbox.client.reach import address, lock
from claude_mailbox.client.reach.api import Daemon, Identity
from claude_mailbox.client.reach.connection import ConnectionLost, NotOurs
from claude_mailbox.errors import ConfigError, DaemonUnreachable, MailboxError

OK, PROBLEM, NOTE = "ok", "problem", "note"
_ANSWER_SECONDS = 5.0
_FREE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was looked at.
        state: ``ok``, ``problem``, or ``note`` for what is good to know.
        detail: what was found.
        remedy: what to do about a problem.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""


def examine(url: str | None) -> Iterator[Finding]:
    """Yield the findings, in an order in which the first problem explains the later ones."""
    yield check_python()
    yield check_command()
    yield check_home()
    yield check_config()
    try:
        target = Daemon(url, seconds=_ANSWER_SECONDS, private=True)
    except ConfigError as error:
        yield Finding(
            "Address", PROBLEM, str(error), "correct --url, CLAUDE_MAILBOX_URL or the file"
        )
        return
    health, finding = check_daemon(target)
    yield finding
    if address.is_default(url):
        yield check_database(health)
        yield check_port(health)
    if health is not None:
        yield check_version(health)
        yield check_mcp(health)
        yield check_round_trip(target)
    yield check_autostart()


def check_python() -> Finding:
    """Say which Python runs this."""
    # Nothing older gets as far as here.
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", OK, f"{version}, {sys.executable}")


def check_command() -> Finding:
    """Look whether hooks and shells find the command, and find this one."""
    found = shutil.which("claude-mailbox")
    if found is None:
        place = sysconfig.get_path("scripts")
        remedy = f"put the folder of the command (probably {place}) on the PATH"
        return Finding("Command", PROBLEM, "claude-mailbox is not on the PATH", remedy)
    try:
        done = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
        words = done.stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("Command", PROBLEM, f"{found} does not run: {error}", "install it again")
    if done.returncode or not words:
        return Finding("Command", PROBLEM, f"{found} fails", "run it by hand, or install it again")
    if words[-1] != __version__:
        detail = f"{found} is version {words[-1]}, this one is {__version__}"
        return Finding("Command", PROBLEM, detail, "remove the one you do not want from the PATH")
    return Finding("Command", OK, found)


def check_home() -> Finding:
    """Look at the home folder: ours, private, writable, with room on its disk."""
    home = paths.home()
    try:
        status = os.stat(home)
    except FileNotFoundError:
        return Finding("Home", OK, f"{home} is not there yet; the first start makes it")
    except OSError as error:
        return Finding("Home", PROBLEM, f"{home}: {error.strerror}", "correct its permissions")
    if sys.platform != "win32":
        if status.st_uid != os.geteuid():
            remedy = "run as its owner, or set CLAUDE_MAILBOX_HOME"
            return Finding("Home", PROBLEM, f"{home} belongs to user {status.st_uid}", remedy)
        if status.st_mode & 0o077:
            detail = f"{home} is open to other users (mode {status.st_mode & 0o777:04o})"
            return Finding("Home", PROBLEM, detail, f"chmod 700 {home}")
    if not os.access(home, os.W_OK | os.X_OK):
        return Finding("Home", PROBLEM, f"{home} cannot be written", f"chmod 700 {home}")
    free = shutil.disk_usage(home).free
    if free < _FREE_BYTES:
        detail = f"{home}: only {free // 1024 // 1024} MB free on its disk"
        return Finding("Home", PROBLEM, detail, "make room: without it no mail can be stored")
    return Finding("Home", OK, home)


def check_config() -> Finding:
    """Look at ``mailbox.json``."""
    found = [place for place in paths.config_paths() if os.path.exists(place)]
    try:
        config.load()
    except ConfigError as error:
        return Finding("Config", PROBLEM, str(error), "correct the file")
    return Finding("Config", OK, " and ".join(found) or "defaults; there is no mailbox.json")


def check_daemon(target: Daemon) -> tuple[dict[str, object] | None, Finding]:
    """Ask the daemon for its health; where it lives in our home, by the Unix socket."""
    try:
        health = target.health()
    except DaemonUnreachable as error:
        holder = lock.holder()
        if holder is None:
            return None, Finding("Daemon", PROBLEM, str(error), "claude-mailbox start")
        detail = f"it runs (pid {holder.get('pid', 'unknown')}) and does not answer: {error}"
        return None, Finding("Daemon", PROBLEM, detail, "claude-mailbox restart")
    except MailboxError as error:
        return None, Finding("Daemon", PROBLEM, str(error), "claude-mailbox restart")
    return health, Finding("Daemon", OK, f"pid {health.get('pid')} answers at {target.place}")


def check_version(health: dict[str, object]) -> Finding:
    """Compare the daemon's version to ours."""
    version = health.get("version")
    if version != __version__:
        detail = f"the daemon is version {version}, this command is {__version__}"
        return Finding("Version", PROBLEM, detail, "claude-mailbox restart")
    return Finding("Version", OK, __version__)


def check_mcp(health: dict[str, object]) -> Finding:
    """Look whether MCP clients are served yet."""
    if health.get("mcp") == "starting":
        return Finding("MCP", NOTE, "/mcp is still starting; clients wait for it")
    return Finding("MCP", OK, "/mcp is ready")


def check_database(health: dict[str, object] | None) -> Finding:
    """Look at the database file, read-only."""
    try:
        path = str(health["dbPath"]) if health else config.load().db_path
    except (ConfigError, KeyError):
        return Finding(
            "Database", NOTE, "not looked at: the configuration does not say where it is"
        )
    if not os.path.exists(path):
        return Finding("Database", OK, f"{path} is not there yet; the first start makes it")
    trouble = examine_database(path, is_in_use=lock.holder() is not None)
    if trouble is not None:
        return Finding("Database", PROBLEM, f"{path} {trouble[0]}", trouble[1])
    return Finding("Database", OK, f"{path} is sound ({_size(path)})")


def check_port(health: dict[str, object] | None) -> Finding:
    """Look who answers at the TCP port, which MCP clients use."""
    try:
        place = _tcp_address(health)
    except ConfigError as error:
        return Finding("Port", PROBLEM, str(error), "correct mailbox.json")
    if place is None:
        return Finding("Port", NOTE, "not looked at: it is chosen at each start")
    remedy = 'stop that program, or set another "port" in mailbox.json'
    try:
        answer = Daemon(str(place), seconds=_ANSWER_SECONDS).health()
    except (ConnectionLost, NotOurs):
        who = ports.holder(place.host, place.port) or "another program"
        if lock.holder() is not None and health is None:
            return Finding("Port", NOTE, f"{place} is held by {who} and does not answer")
        return Finding("Port", PROBLEM, f"{place} is held by {who}, which is not ours", remedy)
    except DaemonUnreachable:
        if health is None:
            return Finding("Port", OK, f"{place} is free")
        return Finding("Port", PROBLEM, f"nobody answers at {place}", "claude-mailbox restart")
    except MailboxError as error:
        return Finding("Port", PROBLEM, f"{place} refuses us: {error}", remedy)
    if health is None or answer.get("pid") != health.get("pid"):
        who = f"the claude-mailbox daemon with pid {answer.get('pid')} and another home folder"
        return Finding("Port", PROBLEM, f"{place} is held by {who}", remedy)
    return Finding("Port", OK, f"the daemon answers at {place}")


def check_round_trip(target: Daemon) -> Finding:
    """Send a message to ourselves, take it, and remove the mailbox again."""
    me = Identity(f"doctor-{os.getpid()}")
    name, text = me.headers[0][1], os.urandom(8).hex()
    remedy = "claude-mailbox restart; the daemon's log says more"
    began = time.perf_counter()
    try:
        target.call("POST", "/v1/send", identity=me, body={"to": name, "body": text})
        mails, _ = target.claim(me)
        target.ack([mail.lease for mail in mails], me)
        took = (time.perf_counter() - began) * 1000
        target.call("DELETE", "/v1/mailbox", identity=me, query=tuple(me.query))
    except MailboxError as error:
        return Finding("Round trip", PROBLEM, str(error), remedy)
    if [mail.body for mail in mails] != [text]:
        return Finding("Round trip", PROBLEM, "the message did not come back", remedy)
    return Finding("Round trip", OK, f"a message to ourselves and back took {took:.0f} ms")


def check_autostart() -> Finding:
    """Look whether the platform starts the daemon at login."""
    from claude_mailbox import autostart

    try:
        manager = autostart.manager()
        if manager.installed():
            return Finding("Autostart", OK, manager.describe())
    except MailboxError as error:
        return Finding("Autostart", NOTE, f"unknown: {error}")
    return Finding("Autostart", NOTE, "not installed; 'claude-mailbox install-autostart' does it")


def _tcp_address(health: dict[str, object] | None) -> address.Address | None:
    """Return where the daemon listens on TCP, or would; None when that is not fixed."""
    addresses = health.get("addresses") if health else None
    for text in addresses if isinstance(addresses, list) else []:
        if isinstance(text, str) and text.startswith("http:"):
            return address.parse_url(text)
    place = address.configured_tcp()
    return place if place.port else None


def _size(path: str) -> str:
    size = os.path.getsize(path) / 1024
    return f"{size:.0f} kB" if size < 10_000 else f"{size / 1024:.0f} MB"
