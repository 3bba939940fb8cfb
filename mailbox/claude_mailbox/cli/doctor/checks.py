"""The checks of ``doctor``, one function each. None of them changes anything."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import replace

from claude_mailbox import __version__, config, paths, ports
from claude_mailbox.cli.doctor.clients import check_clients, check_proxy, client_environment
from claude_mailbox.cli.doctor.database import database_problem
from claude_mailbox.cli.doctor.disk import disk_problem
from claude_mailbox.cli.doctor.finding import NOTE, OK, PROBLEM, Finding
from claude_mailbox.cli.doctor.postgres import postgres_problem
from claude_mailbox.client.reach.address import (
    Address,
    configured_tcp,
    is_own_daemon,
    parse_url,
)
from claude_mailbox.client.reach.api import Daemon, Identity, Refused
from claude_mailbox.client.reach.connection import ConnectionLost, WrongServer
from claude_mailbox.client.reach.lock_file import is_ours, running_daemon
from claude_mailbox.client.reach.own_daemon import running_tcp
from claude_mailbox.errors import (
    ConfigError,
    DaemonUnreachable,
    MailboxError,
    Unavailable,
)

_ANSWER_SECONDS = 5.0


def examine(url: str | None) -> Iterator[Finding]:
    """Run all checks, in an order in which the first problem explains later ones."""
    yield check_python()
    yield check_command()
    home = check_home()
    yield home
    yield check_config()
    try:
        daemon = Daemon(url, seconds=_ANSWER_SECONDS)
    except ConfigError as error:
        yield Finding(
            "Address", PROBLEM, str(error), "correct --url, CLAUDE_MAILBOX_URL or the file"
        )
        return
    health, finding = check_daemon(daemon)
    if health is None and home.state == PROBLEM:
        finding = replace(finding, remedy=f"see to the home folder first, then {finding.remedy}")
    yield finding
    if is_own_daemon(url):
        yield check_database(health)
        yield check_port(health)
    if url is None:
        environment = client_environment()
        own = running_tcp() or _fixed_address(health)
        is_elsewhere = health is not None and not is_ours(health)
        address = daemon.address if daemon.address.wants_token or is_elsewhere else own
        yield check_clients(address, environment)
        yield check_proxy(address, environment)
    if health is not None:
        yield check_version(health)
        yield check_mcp(health)
        yield check_round_trip(daemon)
    yield check_autostart()


def check_python() -> Finding:
    """Report the Python that runs this."""
    # A version that is too old does not get this far.
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", OK, f"{version}, {sys.executable}")


def check_command() -> Finding:
    """Check that the command is on the PATH, and is the same version as this one."""
    found = shutil.which("claude-mailbox")
    if found is None:
        folder = sysconfig.get_path("scripts")
        remedy = f"put the folder of the command (probably {folder}) on the PATH"
        return Finding("Command", PROBLEM, "claude-mailbox is not on the PATH", remedy)
    try:
        done = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
        words = done.stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("Command", PROBLEM, f"{found} does not run: {error}", "install it again")
    if done.returncode or not words:
        return Finding(
            "Command", PROBLEM, f"{found} fails", "run it by hand to see why, or install it again"
        )
    if words[-1] != __version__:
        detail = f"{found} is version {words[-1]}, this one is {__version__}"
        return Finding("Command", PROBLEM, detail, "remove the one you do not want from the PATH")
    return Finding("Command", OK, found)


def check_home() -> Finding:
    """Check that the home folder is ours, private and writable, with space left on its disk."""
    home = paths.home()
    try:
        status = os.stat(home)
    except FileNotFoundError:
        return Finding("Home", OK, f"{home} does not exist yet; the first start creates it")
    except OSError as error:
        return Finding("Home", PROBLEM, f"{home}: {error.strerror}", "correct its permissions")
    if sys.platform != "win32":
        if status.st_uid != os.geteuid():
            remedy = "run as its owner, or set CLAUDE_MAILBOX_HOME"
            return Finding("Home", PROBLEM, f"{home} belongs to user {status.st_uid}", remedy)
        if status.st_mode & 0o077:
            detail = f"{home} is open to other users (mode {status.st_mode & 0o777:04o})"
            return Finding("Home", PROBLEM, detail, f"chmod 700 {home}")
    problem = disk_problem(home)
    if problem is not None:
        return Finding("Home", PROBLEM, f"{home} {problem[0]}", problem[1])
    if not os.access(home, os.W_OK | os.X_OK):
        return Finding("Home", PROBLEM, f"{home} cannot be written", f"chmod 700 {home}")
    return Finding("Home", OK, home)


def check_config() -> Finding:
    """Check ``mailbox.json``."""
    found = [path for path in paths.config_paths() if os.path.exists(path)]
    try:
        config.load()
    except ConfigError as error:
        return Finding("Config", PROBLEM, str(error), "correct the file")
    return Finding("Config", OK, " and ".join(found) or "defaults; there is no mailbox.json")


def check_daemon(daemon: Daemon) -> tuple[dict[str, object] | None, Finding]:
    """Check that the daemon answers, and return its health."""
    elsewhere = "see to it on its own machine, and to the address and the token here"
    is_elsewhere = daemon.address.wants_token
    try:
        health = daemon.health()
    except DaemonUnreachable as error:
        if is_elsewhere:
            return None, Finding("Daemon", PROBLEM, str(error), elsewhere)
        running = running_daemon()
        if running is None:
            return None, Finding("Daemon", PROBLEM, str(error), "claude-mailbox start")
        detail = f"it runs (pid {running.get('pid', 'unknown')}) but does not answer: {error}"
        return None, Finding("Daemon", PROBLEM, detail, "claude-mailbox restart")
    except MailboxError as error:
        remedy = elsewhere if is_elsewhere else "claude-mailbox restart"
        return None, Finding("Daemon", PROBLEM, str(error), remedy)
    return health, Finding("Daemon", OK, f"pid {health.get('pid')} answers at {daemon.address}")


def check_version(health: dict[str, object]) -> Finding:
    """Check that the daemon has the same version as this command."""
    version = health.get("version")
    if version != __version__:
        detail = f"the daemon is version {version}, this command is {__version__}"
        return Finding("Version", PROBLEM, detail, "claude-mailbox restart")
    return Finding("Version", OK, __version__)


def check_mcp(health: dict[str, object]) -> Finding:
    """Check that the daemon serves MCP clients yet."""
    if health.get("mcp") == "starting":
        return Finding("MCP", NOTE, "/mcp is still starting; clients wait until it is ready")
    return Finding("MCP", OK, "/mcp is ready")


def check_database(health: dict[str, object] | None) -> Finding:
    """Check the database: a file, or a PostgreSQL, which a running daemon looks after."""
    try:
        settings = config.load()
        path = str(health["dbPath"]) if health else settings.db_path
    except (ConfigError, KeyError):
        return Finding("Database", NOTE, "not checked: the configuration does not say where it is")
    if health is not None and isinstance(daemons := health.get("daemons"), list):
        names = ", ".join(map(str, daemons))
        return Finding("Database", OK, f"{path} is shared by {len(daemons)} daemons: {names}")
    if health is None and settings.database_url:
        found = postgres_problem(settings.database_url)
        if found is None:
            return Finding("Database", OK, "the PostgreSQL of databaseUrl can be reached")
        return Finding("Database", PROBLEM, f"{found[0]} {found[1]}", found[2])
    if not os.path.exists(path):
        return Finding("Database", OK, f"{path} does not exist yet; the first start creates it")
    problem = disk_problem(os.path.dirname(path))
    if problem is None:
        problem = database_problem(path, is_in_use=running_daemon() is not None)
    if problem is not None:
        return Finding("Database", PROBLEM, f"{path} {problem[0]}", problem[1])
    return Finding("Database", OK, f"{path} is intact ({_size(path)})")


def check_port(health: dict[str, object] | None) -> Finding:
    """Check that the daemon, and nobody else, answers at the TCP port that MCP clients use."""
    try:
        address = _tcp_address(health)
    except ConfigError as error:
        return Finding("Port", PROBLEM, str(error), "correct mailbox.json")
    if address is None:
        return Finding("Port", NOTE, "not checked: it is chosen at each start")
    remedy = 'stop that program, or set another "port" in mailbox.json'
    try:
        port_health = Daemon(str(address), seconds=_ANSWER_SECONDS).health()
    except (ConnectionLost, WrongServer):
        owner = ports.port_owner(address.host, address.port) or "another program"
        if running_daemon() is not None and health is None:
            return Finding("Port", NOTE, f"{address} is used by {owner}, which does not answer")
        detail = f"{address} is used by {owner}, which is not claude-mailbox"
        return Finding("Port", PROBLEM, detail, remedy)
    except DaemonUnreachable:
        holder = ports.port_owner(address.host, address.port)
        if holder is not None:
            detail = f"{address} is held by {holder}"
            return Finding(
                "Port", PROBLEM, detail, f"{remedy}; the daemon takes it when it is free"
            )
        if health is None:
            return Finding("Port", OK, f"{address} is free")
        return Finding("Port", PROBLEM, f"nobody answers at {address}", "claude-mailbox restart")
    except MailboxError as error:
        return Finding("Port", PROBLEM, f"{address} refuses us: {error}", remedy)
    if health is None or port_health.get("pid") != health.get("pid"):
        owner = f"the claude-mailbox daemon of another home folder (pid {port_health.get('pid')})"
        return Finding("Port", PROBLEM, f"{address} is used by {owner}", remedy)
    return Finding("Port", OK, f"the daemon answers at {address}")


def check_round_trip(daemon: Daemon) -> Finding:
    """Send a message to a mailbox of our own, take it, and delete the mailbox again."""
    me = Identity(f"doctor-{os.getpid()}")
    name, text = me.headers[0][1], os.urandom(8).hex()
    remedy = "claude-mailbox restart; the log of the daemon says more"
    began = time.perf_counter()
    try:
        daemon.call("POST", "/v1/send", identity=me, body={"to": name, "body": text})
        deliveries, _ = daemon.claim(me)
        daemon.ack([delivery.lease for delivery in deliveries], me)
        took = (time.perf_counter() - began) * 1000
        daemon.call("DELETE", "/v1/mailbox", identity=me, query=tuple(me.query))
    except MailboxError as error:
        if isinstance(error, Refused) and error.code == "not-allowed":
            return Finding("Round trip", NOTE, f"not tried: the token is not for '{name}'")
        if isinstance(error, Refused) and error.status == Unavailable.status:
            remedy = "do what it says; the log of the daemon says more"
        return Finding("Round trip", PROBLEM, str(error), remedy)
    if [delivery.body for delivery in deliveries] != [text]:
        return Finding("Round trip", PROBLEM, "the message did not come back", remedy)
    return Finding("Round trip", OK, f"a message to ourselves and back took {took:.0f} ms")


def check_autostart() -> Finding:
    """Check whether the platform starts the daemon at login."""
    from claude_mailbox import autostart

    try:
        manager = autostart.manager()
        if manager.is_installed():
            return Finding("Autostart", OK, manager.describe())
    except MailboxError as error:
        return Finding("Autostart", NOTE, f"unknown: {error}")
    return Finding(
        "Autostart", NOTE, "not installed; 'claude-mailbox install-autostart' installs it"
    )


def _tcp_address(health: dict[str, object] | None) -> Address | None:
    """Return the TCP address of the daemon, running or not; None if it is not fixed."""
    addresses = health.get("addresses") if health else None
    for text in addresses if isinstance(addresses, list) else []:
        if isinstance(text, str) and text.startswith("http:"):
            return parse_url(text)
    configured = configured_tcp()
    return configured if configured.port else None


def _fixed_address(health: dict[str, object] | None) -> Address | None:
    """Return the TCP address as far as it is known, for checks that do not stop at a mistake."""
    try:
        return _tcp_address(health)
    except ConfigError:
        return None


def _size(path: str) -> str:
    size = os.path.getsize(path) / 1024
    return f"{size:.0f} kB" if size < 10_000 else f"{size / 1024:.0f} MB"
