"""``check --hook``: give waiting mail to the model before a prompt, or wake an idle session.

It always exits 0, and with ``--wake`` 0 or 2, whatever happens.
"""

import os

from claude_mailbox import paths
from claude_mailbox.client.hooks.hook_io import (
    OUTPUT_LIMIT,
    is_attended,
    is_of_another_client,
    output_for,
    read_input,
    text_field,
)
from claude_mailbox.client.hooks.patience import complaint, seconds_to_wait
from claude_mailbox.client.hooks.session_events import report_event
from claude_mailbox.client.reach.address import explicit_address, is_own_daemon
from claude_mailbox.client.reach.api import Daemon, Identity, Refused
from claude_mailbox.client.reach.connection import NoAnswer
from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupted, Interrupts
from claude_mailbox.errors import DaemonUnreachable, MailboxError, OutputLost

# Room for the lines around the messages.
FRAME_LENGTH = 900
# The beginning of the prompt when the client itself starts a turn, for example after a wake-up.
_PUSHED_TURN = "<task-notification"
EXIT_WAKE = 2


def check_hook(*, name: str | None = None, wake: bool = False, url: str | None = None) -> int:
    """Print waiting mail in the form for the hook's event.

    It is delivered when there is proof that the model has it; without a transcript, when it is
    printed.

    Args:
        name: the mailbox; if None, that of the session in the hook's JSON on standard input.
        wake: for an ``asyncRewake`` hook: write mail to standard error and return 2, and
            write nothing otherwise.
        url: address of the daemon.
    """
    event = ""
    hook: dict[str, object] = {}
    try:
        hook = read_input()
        if is_of_another_client(hook):
            return 0
        event = text_field(hook, "hook_event_name")
        if wake and not (is_attended() and _is_doorbell_event(hook)):
            return 0
        session = text_field(hook, "session_id") or os.environ.get("CLAUDE_CODE_SESSION_ID")
        if name is None and not session:
            hint = "Give 'check --hook' a --name, or the hook's JSON on standard input."
            return _hint(hint, event, wake=wake)
        with Interrupts() as interrupts:
            daemon = Daemon(url, seconds=seconds_to_wait(is_own=is_own_daemon(url)))
            proving = _begin(daemon, session, hook, event) if session and name is None else None
            return _deliver(
                interrupts, daemon, Identity(name, session), name, event, proving, wake=wake
            )
    except (Interrupted, OutputLost):
        return 0
    except Refused as error:
        if error.code == "unknown-session":
            return _introduce(hook, event, url, wake=wake)
        return _hint(str(error), event, wake=wake)
    except NoAnswer:
        told = complaint()
        return 0 if told is None else _hint(told, event, wake=wake)
    except DaemonUnreachable as error:
        address = explicit_address(url)
        hint = "The mail daemon is not running: start it with 'claude-mailbox start'."
        if address is not None and address.is_tls:
            hint = str(error)
        return _hint(hint, event, wake=wake)
    except MailboxError as error:
        return _hint(str(error), event, wake=wake)
    except Exception as error:  # a bug of ours must not fail a prompt
        return _hint(f"Mail cannot be read ({type(error).__name__}: {error}).", event, wake=wake)


def _begin(
    daemon: Daemon, session: str, hook: dict[str, object], event: str
) -> tuple[str, str] | None:
    """Tell the daemon that a turn begins; return session and transcript if arrivals can be proved."""
    path = text_field(hook, "transcript_path")
    if not path:
        return None
    if event == "UserPromptSubmit":
        is_by_user = not text_field(hook, "prompt").lstrip().startswith(_PUSHED_TURN)
        unproved = report_event(
            daemon, session, hook, state="working", beginsTurn=True, byUser=is_by_user
        )
        if unproved:
            from claude_mailbox.client.transcript.proof import PROMPT, report_arrivals

            report_arrivals(daemon, session, unproved, PROMPT)
    return session, path


def _deliver(
    interrupts: Interrupts,
    daemon: Daemon,
    identity: Identity,
    name: str | None,
    event: str,
    proving: tuple[str, str] | None,
    *,
    wake: bool,
) -> int:
    max_chars = OUTPUT_LIMIT - FRAME_LENGTH
    deliveries, pending = interrupts.call(daemon, daemon.claim, identity, None, max_chars)
    if not deliveries and not pending:
        return 0
    # Imported here, because most hooks find no mail.
    from claude_mailbox.client.hooks.context.framing import frame
    from claude_mailbox.client.terminal.printing import print_mail

    if wake:
        from claude_mailbox.client.hooks.context.gathering import gather

        deliveries, pending = gather(interrupts, daemon, identity, deliveries, pending, max_chars)
    text, shown = frame(deliveries, pending, name, max_chars, with_marks=proving is not None)
    rest = deliveries[len(shown) :]
    if rest:
        daemon.release([delivery.lease for delivery in rest], identity)
    if proving is not None:
        from claude_mailbox.client.showing import report_shown

        # Before it is printed: a message whose record is missing would never be released.
        session, path = proving
        leases = [delivery.lease for delivery in shown]
        report_shown(daemon, session, path, leases, "wake" if wake else "context")
    print_mail(
        text + "\n" if wake else output_for(event, text),
        shown,
        daemon=daemon,
        identity=identity,
        interrupts=interrupts,
        write=output.write_error if wake else output.write,
        is_ack=proving is None,
    )
    return EXIT_WAKE if wake else 0


def _is_doorbell_event(hook: dict[str, object]) -> bool:
    """Return whether the event is about no file, or a doorbell; other plugins watch files too."""
    path = text_field(hook, "file_path").replace("\\", "/")
    return not path or path.split("/")[-2:-1] == [os.path.basename(paths.bells_path())]


def _introduce(hook: dict[str, object], event: str, url: str | None, *, wake: bool) -> int:
    """Register a session that was never announced, and introduce it if the model reads this."""
    if event != "UserPromptSubmit":
        return _hint("This session gets its mailbox at the next prompt.", event, wake=wake)
    from claude_mailbox.client.hooks.session import introduce

    try:
        output.write(output_for(event, introduce(hook, url)))
    except OutputLost:
        pass
    except MailboxError as error:
        return _hint(str(error), event, wake=wake)
    return 0


def _hint(sentence: str, event: str, *, wake: bool) -> int:
    if not wake:
        try:  # noqa: SIM105  # contextlib costs 4 ms
            output.write(output_for(event, f"[Claude-Mailbox] {sentence}", is_hint=True))
        except OutputLost:
            pass
    return 0
