"""What the hooks of a coding agent run: quick, quiet, and never in the way.

``check --hook`` always exits 0, and with `wake` 0 or 2, whatever happens.
"""

import os
import sys

from claude_mailbox import paths
from claude_mailbox.client import codec, output
from claude_mailbox.client.hooks.letter import BODY_LIMIT, letter
from claude_mailbox.client.mail.handing_over import ask, hand_over
from claude_mailbox.client.mail.interrupts import Interrupted, Interrupts
from claude_mailbox.client.reach.api import Daemon, Identity, Mail, Refused
from claude_mailbox.errors import DaemonUnreachable, MailboxError, OutputLost

# A prompt must not hang on a daemon that is stuck.
ANSWER_SECONDS = 5.0
INPUT_LIMIT = 8 * 1024 * 1024
# Somebody who runs the command by hand may leave a pipe open that says nothing.
INPUT_SECONDS = 1.0
EXIT_WAKE = 2
# For these the client wants JSON; for the others, and by hand, it is plain text.
_JSON_EVENTS = frozenset(
    {"SubagentStart", "SubagentStop", "Stop", "TaskCreated", "TaskCompleted", "TeammateIdle"}
    | {"PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "Notification"}
    | {"FileChanged", "CwdChanged", "PreCompact", "PostCompact"}
)


def check_hook(*, name: str | None = None, wake: bool = False, url: str | None = None) -> int:
    """Lay waiting mail before the model, as the hook's event wants it, and confirm it.

    Args:
        name: the mailbox; without it that of the session in the hook's JSON on standard input.
        wake: write to standard error and return 2 when there is mail, for an ``asyncRewake``
            hook; say nothing otherwise.
        url: address of the daemon.
    """
    event = ""
    hook: dict[str, object] = {}
    try:
        hook = read_hook()
        event = text_of(hook, "hook_event_name")
        if wake and not (is_attended() and _rings_for_us(hook)):
            return 0
        session = text_of(hook, "session_id") or os.environ.get("CLAUDE_CODE_SESSION_ID")
        if name is None and not session:
            hint = "Give 'check --hook' a --name, or the hook's JSON on standard input."
            return _hint(hint, event, wake=wake)
        with Interrupts() as interrupts:
            return _deliver(interrupts, Identity(name, session), name, event, url, wake=wake)
    except Interrupted:
        return 0
    except OutputLost:
        return 0
    except Refused as error:
        if error.code == "unknown-session":
            return _introduce(hook, event, url, wake=wake)
        return _hint(str(error), event, wake=wake)
    except DaemonUnreachable:
        hint = "No mail daemon runs, so mail cannot be read: start it with 'claude-mailbox start'."
        return _hint(hint, event, wake=wake)
    except MailboxError as error:
        return _hint(str(error), event, wake=wake)
    except Exception as error:  # the edge: a hook must not fail a prompt
        return _hint(f"Mail cannot be read ({type(error).__name__}: {error}).", event, wake=wake)


def is_attended() -> bool:
    """Say whether somebody sits before the session: then it outlives its turn and can be woken.

    In a one-shot run the client waits for such a hook, and throws away what it says.
    """
    return os.environ.get("CLAUDE_CODE_SESSION_ATTENDED") != "0"


def read_hook() -> dict[str, object]:
    """Return the hook's JSON object on standard input, or an empty one.

    A terminal is not waited for, and a pipe that says nothing only a second.
    """
    try:
        descriptor = sys.stdin.fileno()
        value = {} if os.isatty(descriptor) else _read_object(descriptor)
    except (AttributeError, OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def text_of(hook: dict[str, object], key: str) -> str:
    """Return a field of the hook's JSON that must be text, or an empty string."""
    value = hook.get(key)
    return value if isinstance(value, str) else ""


def say(text: str, event: str, *, is_hint: bool = False) -> str:
    """Return *text* in the form in which the client takes it from a hook for *event*.

    A hint goes to the user where context would keep the model going for nothing.
    """
    if event not in _JSON_EVENTS:
        return text + "\n"
    if is_hint:
        return codec.encode({"systemMessage": text}) + "\n"
    answer = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}
    return codec.encode(answer) + "\n"


def _deliver(
    interrupts: Interrupts,
    identity: Identity,
    name: str | None,
    event: str,
    url: str | None,
    *,
    wake: bool,
) -> int:
    daemon = Daemon(url, seconds=ANSWER_SECONDS, private=True)
    mails, pending = ask(interrupts, daemon, daemon.claim, identity, None, BODY_LIMIT)
    if not mails and not pending:
        return 0
    text, shown = letter(mails, pending, name)
    _put_back(daemon, identity, mails[len(shown) :])
    if wake:
        hand_over(interrupts, daemon, identity, shown, text + "\n", output.write_error)
        return EXIT_WAKE
    hand_over(interrupts, daemon, identity, shown, say(text, event))
    return 0


def _rings_for_us(hook: dict[str, object]) -> bool:
    """Say whether a file that changed is a bell; other plugins have the client watch files too."""
    path = text_of(hook, "file_path").replace("\\", "/")
    return not path or path.split("/")[-2:-1] == [os.path.basename(paths.bells_path())]


def _introduce(hook: dict[str, object], event: str, url: str | None, *, wake: bool) -> int:
    """Make up for an announcement that did not take place, where the model hears of it."""
    if event != "UserPromptSubmit":
        return _hint("This session gets its mailbox at the next prompt.", event, wake=wake)
    from claude_mailbox.client.hooks.session import introduce

    try:
        output.write(say(introduce(hook, url), event))
    except OutputLost:
        pass
    except MailboxError as error:
        return _hint(str(error), event, wake=wake)
    return 0


def _put_back(daemon: Daemon, identity: Identity, mails: list[Mail]) -> None:
    if mails:
        daemon.release([mail.lease for mail in mails], identity)


def _hint(sentence: str, event: str, *, wake: bool) -> int:
    if not wake:
        try:  # noqa: SIM105  # contextlib costs 4 ms
            output.write(say(f"[Claude-Mailbox] {sentence}", event, is_hint=True))
        except OutputLost:
            pass
    return 0


def _read_object(descriptor: int) -> object:
    """Decode what comes: until it is a whole object, or ends, or pauses."""
    data = b""
    while len(data) < INPUT_LIMIT and _has_input(descriptor):
        piece = os.read(descriptor, 64 * 1024)
        if not piece:
            break
        data += piece
        if data.rstrip().endswith(b"}"):
            try:
                return codec.decode(data)
            except ValueError:
                continue  # the brace of an inner object
    return codec.decode(data)


def _has_input(descriptor: int) -> bool:
    if sys.platform == "win32":  # where `select` takes sockets only
        return True
    import select

    return bool(select.select([descriptor], [], [], INPUT_SECONDS)[0])
