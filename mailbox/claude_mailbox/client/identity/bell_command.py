"""The command that wakes a session whose client watches no file.

It lies beside the session's bell, in the home folder that only its user can enter; the daemon runs
it instead of relying on the file. It carries no mail: the hook of the prompt that it starts does.
"""

import os
import shutil

from claude_mailbox.client import codec
from claude_mailbox.client.identity.client_process import ancestor_key, ancestor_program

VARIABLE = "CLAUDE_MAILBOX_BELL"
COMMAND_SUFFIX = ".command"
BUSY_SUFFIX = ".busy"
# The daemon makes this file when it has run the command; the turn that begins then removes it.
RUNG_SUFFIX = ".rung"
TEXT = "Mail has come for this session: it is shown with this prompt."


def bell_command(client: str, session: str) -> "list[str] | None":
    """Return what wakes a session: a command of the user's, or what its client has for it."""
    own = os.environ.get(VARIABLE, "").strip()
    if own:
        return ["sh", "-c", own]
    if client != "codex":
        return None
    program = ancestor_program() or shutil.which("codex")
    if program is None:
        return None
    # Queued text looks like the user's own, so it is always the same and has no mail in it.
    return [program, "queue", "--thread", session, "--message", TEXT]


def write_bell_command(bell: str, command: "list[str]", session: str) -> None:
    """Put a command beside a bell.

    Raises:
        OSError: if that is not possible.
    """
    variables = {
        name: os.environ[name]
        for name in ("CODEX_HOME", "HOME", "PATH", "USERPROFILE")
        if name in os.environ
    }
    variables["CLAUDE_MAILBOX_SESSION"] = session
    content = {"command": command, "environment": variables, "process": ancestor_key()}
    temporary = f"{bell}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(codec.encode(content))
    os.replace(temporary, bell + COMMAND_SUFFIX)


def mark_busy(bell: str, *, is_busy: bool) -> None:
    """Leave a file while a turn runs: mail is shown in it anyway, so nothing is to be woken."""
    if not os.path.exists(bell + COMMAND_SUFFIX):
        return
    try:
        if not is_busy:
            os.unlink(bell + BUSY_SUFFIX)
            return
        with open(bell + BUSY_SUFFIX, "wb"):
            pass
        os.unlink(bell + RUNG_SUFFIX)
    except OSError:
        pass
