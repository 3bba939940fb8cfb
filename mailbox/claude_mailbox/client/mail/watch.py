"""``watch``: wait for mail. One message and out (``--block``), or on and on (``--follow``)."""

import time

from claude_mailbox.client import codec, output, text
from claude_mailbox.client.mail.handing_over import ask, hand_over
from claude_mailbox.client.mail.interrupts import Interrupts
from claude_mailbox.client.reach.api import (
    ANSWER_SECONDS,
    LEASE_SECONDS,
    Daemon,
    Identity,
    Refused,
    Reply,
)
from claude_mailbox.errors import BadRequest, Renamed

DEFAULT_SECONDS = 25.0
# The daemon answers a longer poll after that many seconds; we ask again.
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
    """Wait for mail and print it; what was printed is confirmed, what was not goes back.

    Args:
        name: the mailbox.
        block: wait for one message; so it is without *follow*, too.
        follow: print messages until a signal comes.
        timeout: seconds to wait for the one message; 25 if None.
        url: address of the daemon.
        as_json: print each message as one line of JSON.

    Returns:
        0 after one message or the notice of a rename, 3 when the time is over.

    Raises:
        Interrupted: if a signal ended it.
        OutputLost: if the output broke; the mail was put back.
        DaemonUnreachable, MailboxError: if nobody answers; if the daemon refuses.
    """
    if follow and (block or timeout is not None):
        raise BadRequest("'--follow' does not end by itself: leave '--block' and '--timeout' out.")
    if timeout is not None and not 0 <= timeout < float("inf"):
        raise BadRequest("'--timeout' must be a number of seconds, 0 or more.")
    daemon = Daemon(url)
    identity = Identity(name)
    with Interrupts() as interrupts:
        if follow:
            from claude_mailbox.client.mail.follow import Follower

            Follower(daemon, identity, interrupts, as_json=as_json).run()
        seconds = DEFAULT_SECONDS if timeout is None else timeout
        return _wait_for_one(daemon, identity, interrupts, seconds, as_json=as_json)


def rename_text(new: str, *, as_json: bool) -> str:
    """Return the notice of a rename as it is printed."""
    return (codec.encode({"renamed": new}) if as_json else text.rename_line(new)) + "\n"


def _wait_for_one(
    daemon: Daemon, identity: Identity, interrupts: Interrupts, patience: float, *, as_json: bool
) -> int:
    deadline = time.monotonic() + patience
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            seconds = min(left, POLL_SECONDS)
            reply = ask(interrupts, daemon, _poll, daemon, identity, seconds)
        except Refused as refusal:
            if refusal.code != Renamed.code:
                raise
            output.write(rename_text(str(refusal.answer.get("to")), as_json=as_json))
            return 0
        if reply.status != 204:
            mail = daemon.mail(reply.value)
            line = (
                codec.encode(mail.fields)
                if as_json
                else text.mail_line(mail.sender, mail.body, mail.attempts)
            )
            hand_over(interrupts, daemon, identity, [mail], line + "\n")
            return 0
        interrupts.check()
        if left <= POLL_SECONDS:
            return EXIT_TIMEOUT


def _poll(daemon: Daemon, identity: Identity, seconds: float) -> Reply:
    return daemon.call(
        "GET",
        "/v1/watch",
        identity=identity,
        query=(*identity.query, f"timeout={seconds:.3f}", f"lease={LEASE_SECONDS}"),
        seconds=seconds + ANSWER_SECONDS,
    )
