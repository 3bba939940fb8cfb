"""Composition root of the daemon: who is made from what, who starts first and who stops last.

The nurseries are nested in the order of dependency. From the inside out the shutdown is: stop
accepting and end long-polls with 503, let running requests finish (bounded), close the ledger's
channel, drain, checkpoint, close the database, free the lock.
"""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import trio

from claude_mailbox import __version__, paths
from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.doorbell import Doorbell
from claude_mailbox.daemon.delivery.housekeeping import Housekeeping
from claude_mailbox.daemon.delivery.presence import Presence
from claude_mailbox.daemon.delivery.sessions import Sessions
from claude_mailbox.daemon.delivery.waiters import WaiterLines
from claude_mailbox.daemon.edge.callers import Callers
from claude_mailbox.daemon.edge.guard import Guard
from claude_mailbox.daemon.edge.handover import Handover
from claude_mailbox.daemon.http.asgi import App, Receive, Scope, Send, end_last
from claude_mailbox.daemon.http.server import Server, open_doors
from claude_mailbox.daemon.http.sockets import open_tcp, open_unix
from claude_mailbox.daemon.lock import HomeLock
from claude_mailbox.daemon.mcp.endpoint import McpGate
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine
from claude_mailbox.daemon.web.fastlane import FastLane
from claude_mailbox.daemon.web.follow import Follow
from claude_mailbox.daemon.web.late import Late
from claude_mailbox.daemon.web.mail import Verbs
from claude_mailbox.daemon.web.sessions import SessionVerbs
from claude_mailbox.errors import MailboxError, ShuttingDown, StartupError

logger = logging.getLogger(__name__)

OnReady = Callable[[Sequence[str]], None]

GRACE_SECONDS = 1.0
# Beyond the grace: a client that takes no bytes keeps hypercorn in a shielded send.
_STUCK_SECONDS = 0.4


def run(config: Config, on_ready: OnReady) -> int:
    """Run the daemon until a signal ends it; return the exit code.

    Args:
        config: the settings.
        on_ready: called with the daemon's addresses when it answers.

    Raises:
        StartupError: if it cannot start; nothing was changed then.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for noisy in ("mcp", "hypercorn.error", "quart"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # All mail ever sent stays in the database, which may lie outside of the home folder.
    os.umask(0o077)
    home = paths.home()
    _make_home(home)
    lock = HomeLock(paths.lock_path())
    try:
        trio.run(_main, config, lock, on_ready)
    except BaseExceptionGroup as group:
        raise _first_cause(group) from None
    finally:
        lock.close()
    return 0


def _first_cause(error: BaseException) -> BaseException:
    """Return what went wrong first: nurseries wrap it in groups, and people want one sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _make_home(home: str) -> None:
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        if sys.platform != "win32" and os.stat(home).st_mode & 0o077:
            os.chmod(home, 0o700)
    except OSError as error:
        raise StartupError(
            f"Cannot make the home folder {home} ({error.strerror}): check its permissions, or"
            " choose another one with CLAUDE_MAILBOX_HOME."
        ) from None


def _clock() -> int:
    return time.time_ns() // 1_000_000


async def _main(config: Config, lock: HomeLock, on_ready: OnReady) -> None:
    closing = trio.Event()
    async with trio.open_nursery() as signals:
        # First of all: a signal that comes during the start ends it in order, too.
        await signals.start(_wait_for_signal, closing)
        database = await SqliteEngine.open(config.db_path, max_mailboxes=config.max_mailboxes)
        try:
            ledger = Ledger(database)
            async with trio.open_nursery() as nursery:
                await nursery.start(_run_ledger, ledger, closing)
                try:
                    # If the ledger fails, requests are answered before the daemon ends.
                    with trio.CancelScope(shield=True):
                        await _serve(config, lock, ledger, database, on_ready, closing)
                finally:
                    ledger.close()
        finally:
            await database.close()
        signals.cancel_scope.cancel()


async def _run_ledger(
    ledger: Ledger,
    closing: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    try:
        await ledger.serve(task_status=task_status)
    finally:
        closing.set()


async def _serve(
    config: Config,
    lock: HomeLock,
    ledger: Ledger,
    database: SqliteEngine,
    on_ready: OnReady,
    closing: trio.Event,
) -> None:
    lines = WaiterLines(config.max_waiters_per_mailbox)
    presence = Presence(ledger, _clock)
    doorbell = Doorbell(
        partial(ledger.run, lambda transaction: transaction.sessions.waiting(), durable=False)
    )
    broker = Broker(ledger, lines, presence, config, _clock, doorbell)
    sessions = Sessions(ledger, broker, doorbell, _clock)
    housekeeping = Housekeeping(ledger, broker, lines, presence, config, _clock)
    await housekeeping.release_bound()
    await sessions.restore()

    callers = Callers(presence, sessions.mailbox_of, sessions.mailbox_of_client)
    gate = McpGate(broker, callers)
    follow = Follow(broker, callers)
    listener = open_tcp(config.bind, config.port)
    local = open_unix(paths.socket_path())
    addresses = [each.address for each in (listener, local) if each is not None]
    verbs = Verbs(broker, callers, partial(_health, config, addresses, gate, lines))
    verbs.routes.update(SessionVerbs(sessions).routes)
    rest = Late(partial(_make_rest, verbs))
    verb_lane = FastLane(verbs, rest)
    handover = Handover(_by_path(verb_lane, gate), broker)
    app = Guard(
        _by_custody(verb_lane, follow, handover), config.allowed_hosts, config.max_body_bytes
    )
    strangers = Late(partial(_make_hypercorn, app))

    async with trio.open_nursery() as background:
        background.start_soon(broker.expiry.serve)
        background.start_soon(
            housekeeping.tidy, handover.catch_up, lambda: [*handover.held(), *follow.held()]
        )
        background.start_soon(housekeeping.sweep_mailboxes, sessions.living)
        background.start_soon(doorbell.serve)
        async with trio.open_nursery() as server:
            serve = partial(open_doors, app, closing=closing, grace_seconds=GRACE_SECONDS)
            await server.start(partial(serve, listener, strangers=strangers))
            if local is not None:
                await server.start(serve, local)
            lock.describe(addresses)
            background.start_soon(_finish_importing, rest, strangers, gate)
            on_ready(addresses)
            # What exists now stays; the collector need not look at it.
            gc.freeze()
            gc.enable()
            await closing.wait()
            lines.close(ShuttingDown("The daemon is shutting down: try again in a moment."))
            follow.close()
            gate.close()
            background.start_soon(_leave_stuck_clients, ledger, database)
        await _write_down(presence, handover)
        background.cancel_scope.cancel()


def _make_rest(verbs: Verbs) -> App:
    from claude_mailbox.daemon.web.app import create_app

    return end_last(cast("App", create_app(verbs)))


def _make_hypercorn(app: App) -> Server:
    from claude_mailbox.daemon.edge.network import HypercornServer

    return HypercornServer(app, GRACE_SECONDS)


async def _finish_importing(rest: Late[App], strangers: Late[Server], gate: McpGate) -> None:
    """Bring in what takes long to import, one after the other, while requests are answered.

    Raises:
        StartupError: if it cannot be imported.
    """
    try:
        await rest.build()
        await strangers.build()
        await gate.serve(then=gc.freeze)
    except ImportError as error:
        raise StartupError(
            f"The installation is broken ({error}): install claude-mailbox again."
        ) from error


async def _leave_stuck_clients(ledger: Ledger, database: SqliteEngine) -> None:
    """End the process though some client takes no bytes; cancelled when none does.

    Hypercorn shields its sends, so such a client would keep the nursery open for ever. By now
    the grace is over; what is left to do is what makes the mail safe.
    """
    await trio.sleep(GRACE_SECONDS + _STUCK_SECONDS)
    with trio.CancelScope(shield=True):
        logger.warning("leaving behind clients that take no bytes")
        ledger.close()
        await ledger.drained.wait()
        await database.close()
        os._exit(0)


def _health(
    config: Config, addresses: Sequence[str], gate: McpGate, lines: WaiterLines
) -> Mapping[str, object]:
    return {
        "status": "ok",
        "version": __version__,
        "dbPath": config.db_path,
        "pid": os.getpid(),
        "addresses": list(addresses),
        "mcp": "ready" if gate.is_ready else "starting",
        "waiters": lines.total(),
    }


def _by_path(rest: App, gate: McpGate) -> App:
    """Send ``/mcp`` to the gate and everything else to REST."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in {"/mcp", "/mcp/"}:
            await gate(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


# The routes whose responses carry mail.
_DELIVERING = frozenset({"/v1/check-inbox", "/v1/watch", "/mcp", "/mcp/"})


def _by_custody(rest: App, follow: Follow, handover: Handover) -> App:
    """Let responses that carry mail go through the handover, and no others."""
    stream = end_last(follow)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/v1/follow":
            await stream(scope, receive, send)
        elif scope["path"] in _DELIVERING:
            await handover(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


async def _wait_for_signal(
    closing: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    wanted = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        wanted.append(signal.SIGBREAK)
    with trio.open_signal_receiver(*wanted) as signals:
        task_status.started()
        async for number in signals:
            logger.info("%s: shutting down", signal.Signals(number).name)
            closing.set()


async def _write_down(presence: Presence, handover: Handover) -> None:
    """Write down what only memory knows."""
    try:
        await handover.catch_up()
        await presence.flush()
    except MailboxError as error:
        logger.warning("could not write everything down: %s", error)
