"""The commands of conversations: ``ask``, and what is ``parked``."""

import os
import time

from claude_mailbox.client import codec
from claude_mailbox.client.mail.own import own_identity
from claude_mailbox.client.mail.sending import text_of
from claude_mailbox.client.reach.api import (
    ANSWER_SECONDS,
    LEASE_SECONDS,
    Daemon,
    Identity,
    Refused,
    Result,
    Stopping,
)
from claude_mailbox.client.reach.connection import ConnectionLost
from claude_mailbox.client.reach.http1 import quote
from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupts
from claude_mailbox.client.terminal.printing import print_mail
from claude_mailbox.errors import (
    BadRequest,
    DaemonUnreachable,
    MailboxError,
    Unavailable,
)
from claude_mailbox.model.text import visible, visible_lines

DEFAULT_SECONDS = 300.0
# The longest wait that the daemon allows for one request.
POLL_SECONDS = 300.0
# How long a question stays open, with a notice at its end: the longest that the daemon allows.
OPEN_SECONDS = 24 * 3600
# How soon to ask again that got no answer at once.
AGAIN_SECONDS = 1.0
EXIT_TIMEOUT = 3


def ask(
    *,
    sender: str | None = None,
    to: str,
    body: str | None = None,
    timeout: float | None = None,
    url: str | None = None,
    as_json: bool = False,
) -> int:
    """Send a question, wait for the answer and print its text.

    Args:
        sender: the asker's mailbox; if None, that of the session whose shell this is.
        to: the mailbox that is asked.
        body: the question; None or ``-`` stands for standard input.
        timeout: how many seconds to wait; 300 if None.
        url: address of the daemon.
        as_json: print what the daemon says.

    Returns:
        0; 1 if there will be no answer; 3 if there is none yet: then the question stays open.
    """
    seconds = DEFAULT_SECONDS if timeout is None else timeout
    if not 0 <= seconds < float("inf"):
        raise BadRequest("'--timeout' must be a number of seconds, 0 or more.")
    daemon = Daemon(url)
    identity = own_identity(daemon, sender, "--from")
    message = {
        "to": to,
        "body": text_of(daemon, body),
        "ask": OPEN_SECONDS,
        "idempotencyKey": os.urandom(12).hex(),
    }
    with Interrupts() as interrupts:
        receipt = _wait_for_answer(interrupts, daemon, identity, message, seconds)
        reply = receipt["answer"] or receipt.get("notice")
        if reply is not None:
            delivery = daemon.parse_delivery(reply)
            is_answer = reply is receipt["answer"]
            shown = codec.encode(receipt) if as_json else _shown(delivery.body)
            print_mail(
                "" if not as_json and not is_answer else f"{shown}\n",
                [delivery],
                daemon=daemon,
                identity=identity,
                interrupts=interrupts,
            )
            if not is_answer and not as_json:
                output.report_error(delivery.body)
            return 0 if is_answer else 1
    if as_json:
        output.write(codec.encode(receipt) + "\n")
    else:
        asker = visible(str(receipt.get("from")))
        output.report_error(
            f"No answer yet to message {receipt.get('id')}: it will come to '{asker}'."
        )
    return EXIT_TIMEOUT


def _wait_for_answer(
    interrupts: Interrupts,
    daemon: Daemon,
    identity: Identity,
    message: object,
    seconds: float,
) -> "dict[str, object]":
    """Ask, and return the receipt with what ended the question, or without when the time is over.

    Once the daemon was reached, the question may be stored: so the wait goes on while the daemon is
    restarted, and the same question is asked again, which its key makes one.
    """
    deadline = time.monotonic() + seconds
    may_be_stored = False
    while True:
        began = time.monotonic()
        wait = min(max(0.0, deadline - began), POLL_SECONDS)
        failure: MailboxError | None = None
        try:
            result = interrupts.call(daemon, _ask, daemon, identity, message, wait)
        except Refused as refusal:
            if not (may_be_stored and refusal.status == Unavailable.status):
                raise
            failure = refusal
        except DaemonUnreachable as error:
            if not (may_be_stored or isinstance(error, ConnectionLost | Stopping)):
                raise
            failure = error
        else:
            interrupts.check()
            if not isinstance(result.value, dict) or "answer" not in result.value:
                raise daemon.wrong_server()
            receipt: dict[str, object] = result.value
            if receipt["answer"] or receipt.get("notice"):
                return receipt
        may_be_stored = True
        now = time.monotonic()
        if now >= deadline:
            if failure is not None:
                raise failure
            return receipt
        if now < began + wait:
            # The daemon is away, or an answer that did not reach us is not free yet.
            with interrupts.raise_on_signal():
                time.sleep(min(AGAIN_SECONDS, deadline - now))


def _ask(daemon: Daemon, identity: Identity, message: object, seconds: float) -> Result:
    return daemon.call(
        "POST",
        "/v1/send",
        identity=identity,
        query=(f"wait={seconds:.3f}", f"lease={LEASE_SECONDS}"),
        body=message,
        seconds=seconds + ANSWER_SECONDS,
    )


def _shown(body: str) -> str:
    """Return the text as it is, for a script; on a terminal without control characters."""
    return visible_lines(body) if output.is_terminal() else body


def list_parked(*, name: str | None = None, url: str | None = None) -> list[dict[str, object]]:
    """Return the messages that are parked; with *name*, those that it sent or got."""
    daemon = Daemon(url)
    query = () if name is None else (f"name={quote(name)}",)
    rows = daemon.call("GET", "/v1/parked", query=query, is_repeatable=True).value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise daemon.wrong_server()
    return rows


def end_parking(
    verb: str, numbers: "tuple[int, ...]", *, url: str | None = None, as_json: bool = False
) -> int:
    """Do ``retry`` or ``drop`` with parked messages; return 1 if some were not parked."""
    daemon = Daemon(url)
    value = daemon.call("POST", f"/v1/parked/{verb}", body={"ids": list(numbers)}).value
    done = value.get("done") if isinstance(value, dict) else None
    if not isinstance(done, list):
        raise daemon.wrong_server()
    missing = [number for number in numbers if number not in done]
    if as_json:
        output.write(codec.encode(value) + "\n")
    else:
        what = "Waiting again" if verb == "retry" else "Deleted"
        if done:
            output.write(f"{what}: {', '.join(map(str, done))}\n")
        if missing:
            output.report_error(f"Not parked: {', '.join(map(str, missing))}.")
    return 1 if missing else 0
