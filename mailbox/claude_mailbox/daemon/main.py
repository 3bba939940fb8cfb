"""Composition root of the daemon: makes all objects, and starts and stops them in order.

The nurseries are nested in the order of dependency, so the shutdown runs from the inside out: stop
accepting, end long-polls with 503, let running requests finish within the grace, close the ledger's
channel, finish its jobs, close the database, free the lock.
"""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import trio

from claude_mailbox import paths
from claude_mailbox.config import Config
from claude_mailbox.daemon.databases import Database, open_database
from claude_mailbox.daemon.delivery.bells.doorbell import Doorbell
from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.delivery.housekeeping import Housekeeping
from claude_mailbox.daemon.delivery.other_daemons import OtherDaemons
from claude_mailbox.daemon.delivery.parties.notifier import NullNotifier
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.delivery.parties.waiters import WaiterLines
from claude_mailbox.daemon.delivery.sessions.proof import Proofs
from claude_mailbox.daemon.delivery.sessions.registry import Sessions
from claude_mailbox.daemon.delivery.views.status_file import StatusFile
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.input.subagents import SubagentCalls
from claude_mailbox.daemon.edge.network.access import Access
from claude_mailbox.daemon.edge.network.tokens import Tokens
from claude_mailbox.daemon.edge.output.handover import Handover
from claude_mailbox.daemon.health import health
from claude_mailbox.daemon.http import descriptors
from claude_mailbox.daemon.http.budget import Budget
from claude_mailbox.daemon.http.server import Server
from claude_mailbox.daemon.http.sockets import Listener
from claude_mailbox.daemon.mcp.endpoint import McpEndpoint
from claude_mailbox.daemon.process.clock import SteadyClock
from claude_mailbox.daemon.process.listening import Listening
from claude_mailbox.daemon.process.lock import HomeLock
from claude_mailbox.daemon.process.logs import log_formatter
from claude_mailbox.daemon.process.secret import Secret
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.web.app import MailboxApp
from claude_mailbox.daemon.web.inbox.access import InboxAccess
from claude_mailbox.daemon.web.inbox.entry import EntryRoutes
from claude_mailbox.daemon.web.inbox.events import EventStream
from claude_mailbox.daemon.web.inbox.pages import Pages
from claude_mailbox.daemon.web.messages.follow import Follow
from claude_mailbox.daemon.web.messages.held import HeldRoutes
from claude_mailbox.daemon.web.messages.history import HistoryRoutes
from claude_mailbox.daemon.web.messages.mail import MailRoutes
from claude_mailbox.daemon.web.messages.parked import ParkedRoutes
from claude_mailbox.daemon.web.people.groups import GroupRoutes
from claude_mailbox.daemon.web.people.mailboxes import MailboxRoutes
from claude_mailbox.daemon.web.people.proof import ProofRoutes
from claude_mailbox.daemon.web.people.rings import RingRoutes
from claude_mailbox.daemon.web.people.sessions import SessionRoutes
from claude_mailbox.daemon.web.people.tokens import TokenRoutes
from claude_mailbox.daemon.web.service.identity import IdentityRoutes
from claude_mailbox.daemon.web.service.metrics import MetricsRoutes
from claude_mailbox.daemon.web.service.openapi import OpenApiRoutes
from claude_mailbox.errors import InvalidName, MailboxError, ShuttingDown, StartupError
from claude_mailbox.model.names import check_name, check_new_name

logger = logging.getLogger(__name__)

OnReady = Callable[[Sequence[str], str], None]

# How long running requests may go on when the daemon stops.
GRACE_SECONDS = 1.0
# How much the server buffers for all clients: so many bytes, and at least so many of the largest
# messages.
BUFFER_BYTES = 64 * 1024 * 1024
BUFFER_MESSAGES = 16


def run(config: Config, on_ready: OnReady) -> int:
    """Run the daemon until a signal ends it; return the exit code.

    Args:
        config: the settings.
        on_ready: called with the daemon's addresses and its database when it answers.

    Raises:
        StartupError: if it cannot start; then nothing was changed.
        DiskFailed: if a flush failed; the next start recovers the database.
    """
    config = replace(config, user_mailbox=_check_user_mailbox(config.user_mailbox))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(log_formatter(config.log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("mcp", "quart"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Only our user may read the database, which may be outside the home folder.
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


def _check_user_mailbox(name: str) -> str:
    try:
        name = check_name(name)
        check_new_name(name)
    except InvalidName as error:
        raise StartupError(
            f"'userMailbox' in the configuration is not a name for a mailbox. {error}"
        ) from None
    return name


def _first_cause(error: BaseException) -> BaseException:
    """Return the first error of the exception groups that nurseries make."""
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


async def _main(config: Config, lock: HomeLock, on_ready: OnReady) -> None:
    closing = trio.Event()
    async with trio.open_nursery() as signals:
        # First, so that a signal during the start ends it in order, too.
        await signals.start(_wait_for_signal, closing)
        if config.tls_cert:
            from claude_mailbox.daemon.edge.network.server import check_certificate

            check_certificate(config.tls_cert, config.tls_key)
        # Before the database, so that a daemon without an address changes nothing in it.
        listening = Listening(config)
        clock = SteadyClock()
        database = await open_database(config, clock)
        try:
            ledger = Ledger(database.engine)
            async with trio.open_nursery() as nursery:
                await nursery.start(_run_ledger, ledger, closing)
                try:
                    # Shielded: if the ledger fails, requests are answered before the daemon ends.
                    with trio.CancelScope(shield=True):
                        await _serve(
                            config, lock, database, ledger, clock, listening, on_ready, closing
                        )
                finally:
                    ledger.close()
        finally:
            await database.engine.close()
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
    database: Database,
    ledger: Ledger,
    clock: SteadyClock,
    listening: Listening,
    on_ready: OnReady,
    closing: trio.Event,
) -> None:
    lines = WaiterLines(config.max_waiters_per_mailbox)
    presence = Presence(ledger, clock)
    doorbell = Doorbell(
        partial(ledger.run, lambda transaction: transaction.sessions.waiting(), durable=False)
    )
    notifier = database.notifications or NullNotifier()
    broker = Broker(ledger, lines, presence, config, clock, doorbell, notifier)
    sessions = Sessions(ledger, broker, doorbell, clock)
    proofs = Proofs(ledger, broker, clock)
    housekeeping = Housekeeping(ledger, broker, lines, presence, config, clock)
    others = None
    if database.poll is not None:
        others = OtherDaemons(broker, lines, doorbell, clock, database.poll)

    listeners = 3 if config.serves_network and config.local_port else 2
    max_connections = descriptors.share(descriptors.raise_limit(), listeners)
    budget = Budget(max(BUFFER_BYTES, BUFFER_MESSAGES * config.max_body_bytes))

    def create_server() -> Server:
        return Server(app, closing, GRACE_SECONDS, budget, max_connections, _may_connect)

    tokens = Tokens(ledger, clock)

    async def serve_network(nursery: trio.Nursery, listener: Listener) -> None:
        # Imported here because it takes 60 ms and is rarely used.
        from claude_mailbox.daemon.edge.network.server import serve_network

        await nursery.start(
            partial(
                serve_network,
                Access(app, tokens, access.token_of, behind_proxy=config.behind_proxy),
                listener.socket,
                closing,
                GRACE_SECONDS,
                max_connections=max_connections,
                certificate=config.tls_cert,
                key=config.tls_key,
            )
        )

    callers = Callers(
        presence, sessions.mailbox_of, sessions.mailbox_of_client, config.user_mailbox
    )
    handover = Handover(broker.leases)
    subagents = SubagentCalls()
    endpoint = McpEndpoint(broker, callers, subagents)
    follow = Follow(broker, callers)
    secret = Secret(paths.secret_path())
    access = InboxAccess(secret.sign, clock)
    events = EventStream(broker, access)
    get_health = partial(health, config, database.address, listening, endpoint, lines, others)
    routes = [
        *MailRoutes(broker, callers).routes(),
        *MailboxRoutes(broker, callers, get_health).routes(),
        *HistoryRoutes(broker, callers).routes(),
        *GroupRoutes(broker, callers).routes(),
        *HeldRoutes(broker, callers).routes(),
        *SessionRoutes(sessions, subagents, callers, broker.user).routes(),
        *ProofRoutes(proofs, callers).routes(),
        *RingRoutes(sessions, callers).routes(),
        *TokenRoutes(tokens).routes(),
        *MetricsRoutes(ledger, lines.total).routes(),
        *ParkedRoutes(broker.parking).routes(),
        *IdentityRoutes(secret.proof).routes(),
        *EntryRoutes(broker, access, listening.tcp_address, secret.proof).routes(),
        *events.routes(),
        *follow.routes(),
        *endpoint.routes(),
    ]
    app = MailboxApp(
        [*routes, *OpenApiRoutes(routes).routes()],
        Pages(broker, access, clock).blueprint(),
        handover,
        hosts=[*config.allowed_hosts, config.bind.strip("[]")],
        max_body_bytes=config.max_body_bytes,
    )
    lock.describe(listening.addresses)
    # After everything that can fail at a start. Clients that connect already wait in the kernel's
    # queue, so nothing is claimed before old leases are released.
    await housekeeping.correct_times()
    await housekeeping.release_bound()
    await sessions.restore()

    async with trio.open_nursery() as background:
        background.start_soon(broker.expiry.serve)
        background.start_soon(broker.unanswered.serve)
        background.start_soon(broker.history.serve)
        background.start_soon(
            housekeeping.tidy,
            handover.settle_late,
            lambda: [*handover.held(), *follow.held(), *endpoint.held()],
        )
        background.start_soon(housekeeping.sweep_mailboxes, sessions.running)
        background.start_soon(housekeeping.forget_texts)
        background.start_soon(housekeeping.vacuum)
        background.start_soon(doorbell.serve)
        background.start_soon(proofs.serve)
        if others is not None and database.notifications is not None:
            background.start_soon(others.apply, database.notifications.receive())
            background.start_soon(database.notifications.send)
            background.start_soon(others.serve)
            background.start_soon(others.look_for_receipts)
        background.start_soon(
            StatusFile(ledger, broker.changes, paths.status_path(), broker.user).serve
        )
        async with trio.open_nursery() as serving:
            await listening.serve(serving, create_server, serve_network)
            background.start_soon(listening.keep_open, serving, partial(_note, lock, listening))
            background.start_soon(_serve_mcp, endpoint)
            on_ready(listening.addresses, database.address)
            # The collector need not look at what exists now: it stays.
            gc.freeze()
            gc.enable()
            await closing.wait()
            reason = ShuttingDown("The daemon is shutting down: try again in a moment.")
            lines.close(reason)
            broker.receipts.close(reason)
            broker.askers.close(reason)
            follow.close()
            doorbell.close()
            events.close()
            endpoint.close()
        await _write_down(presence, handover)
        background.cancel_scope.cancel()


def _note(lock: HomeLock, listening: Listening) -> None:
    """Write the present addresses into the lock file, where commands look for them."""
    try:
        lock.describe(listening.addresses)
    except StartupError as error:
        logger.warning("%s", error)


def _may_connect(user: int) -> bool:
    """Return whether a user of this machine may use our TCP port: only we and root."""
    return user in (os.getuid(), 0)


async def _serve_mcp(endpoint: McpEndpoint) -> None:
    try:
        await endpoint.serve(on_ready=gc.freeze)
    except ImportError as error:
        raise StartupError(
            f"The installation is broken ({error}): install claude-mailbox again."
        ) from error


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
    """Write unsettled leases and presence, which only memory has, to the database."""
    try:
        await handover.settle_late()
        await presence.flush()
    except MailboxError as error:
        logger.warning("could not write everything down: %s", error)
