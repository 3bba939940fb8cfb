"""``watch``: wait for one message (``--block``), or print messages as they come (``--follow``)."""

import time

from claude_mailbox.client.mail.background import end_with_client
from claude_mailbox.client.mail.background import session as background_session
from claude_mailbox.client.reach.api import (
    ANSWER_SECONDS,
    LEASE_SECONDS,
    Daemon,
    Delivery,
    Identity,
    Refused,
    Result,
)
from claude_mailbox.client.showing import mark, report_shown
from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupts
from claude_mailbox.client.terminal.printing import message_lines, print_mail, renamed_line
from claude_mailbox.errors import BadRequest, Renamed

DEFAULT_SECONDS = 25.0
# The longest wait that the daemon allows for one request.
POLL_SECONDS = 300.0
EXIT_TIMEOUT = 3


def watch(
    *,
    name: str,
    block: bool = False,
    follow: bool = False,
    timeout: float | None = None,
    url: str | None = None,
    as_json: bool = False,
) -> int:
    """Wait for mail and print it; what was printed is acked, the rest is released.

    Args:
        name: the mailbox.
        block: wait for one message, which is also the default.
        follow: print messages until a signal comes.
        timeout: seconds to wait for the one message; 25 if None.
        url: address of the daemon.
        as_json: print each message as one line of JSON.

    Returns:
        0 after one message or a rename, 3 when the time is up.

    Raises:
        Interrupted: if a signal ended it.
        OutputLost: if the output broke; the mail was released.
        DaemonUnreachable: if nobody answers.
        MailboxError: if the daemon answers with an error.
    """
    if follow and (block or timeout is not None):
        raise BadRequest("'--follow' runs until you end it: leave out '--block' and '--timeout'.")
    if timeout is not None and not 0 <= timeout < float("inf"):
        raise BadRequest("'--timeout' must be a number of seconds, 0 or more.")
    daemon = Daemon(url)
    identity = Identity(name)
    with Interrupts() as interrupts:
        end_with_client()
        interrupts.check()
        if follow:
            from claude_mailbox.client.mail.follow import Follower

            Follower(daemon, identity, interrupts, as_json=as_json).run()
        seconds = DEFAULT_SECONDS if timeout is None else timeout
        return _wait_for_one(daemon, identity, interrupts, seconds, as_json=as_json)


def _wait_for_one(
    daemon: Daemon, identity: Identity, interrupts: Interrupts, timeout: float, *, as_json: bool
) -> int:
    deadline = time.monotonic() + timeout
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            seconds = min(left, POLL_SECONDS)
            result = interrupts.call(daemon, _poll, daemon, identity, seconds)
        except Refused as refusal:
            if refusal.code != Renamed.code:
                raise
            output.write(renamed_line(str(refusal.fields.get("to")), as_json=as_json))
            return 0
        if result.status != 204:
            delivery = daemon.parse_delivery(result.value)
            lines = message_lines([delivery], as_json=as_json)
            needs_proof = not as_json and _keep_until_proof(daemon, delivery)
            print_mail(
                f"{lines}{mark(delivery.lease)}\n" if needs_proof else lines,
                [delivery],
                daemon=daemon,
                identity=identity,
                interrupts=interrupts,
                is_ack=not needs_proof,
            )
            return 0
        interrupts.check()
        if left <= POLL_SECONDS:
            return EXIT_TIMEOUT


def _keep_until_proof(daemon: Daemon, delivery: Delivery) -> bool:
    """Return whether the message stays leased: in the background of a session its output may be lost."""
    session = background_session()
    return session is not None and not report_shown(
        daemon, session, "", [delivery.lease], "command"
    )


def _poll(daemon: Daemon, identity: Identity, seconds: float) -> Result:
    return daemon.call(
        "GET",
        "/v1/watch",
        identity=identity,
        query=(*identity.query, f"timeout={seconds:.3f}", f"lease={LEASE_SECONDS}"),
        seconds=seconds + ANSWER_SECONDS,
    )
