"""``statusline``: one short line for the client's status line, from a file that the daemon keeps."""

import os

from claude_mailbox import paths
from claude_mailbox.client.hooks.hook_io import read_input, text_field
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import MailboxError

_COLUMNS = 4


def statusline(*, name: str | None = None) -> int:
    """Print what waits for the session and for the user; nothing when nothing does.

    Args:
        name: the mailbox; if None, that of the session in the client's JSON on standard input.
    """
    try:
        return _print(name)
    except MailboxError:
        return 0  # a status line shows no errors


def _print(name: str | None) -> int:
    session = "" if name is not None else text_field(read_input(), "session_id")
    session = session or os.environ.get("CLAUDE_CODE_SESSION_ID", "")
    held, rows = _read()
    parts, parts_for_user = [], []
    for each_session, mailbox, unread, questions in rows:
        if not each_session:
            parts_for_user = _parts(unread, " for you", questions)
        elif mailbox == name or (name is None and session and each_session == session):
            parts = _parts(unread, " unread", questions)
    parts += parts_for_user
    if held != "0":
        parts.append(f"{held} held")
    if parts:
        output.write(f"Mail: {', '.join(parts)}\n")
    return 0


def _parts(unread: str, what: str, questions: str) -> list[str]:
    parts = [unread + what] if unread != "0" else []
    if questions != "0":
        noun = "question" if questions == "1" else "questions"
        parts.append(f"{questions} {noun}{what.removesuffix(' unread')}")
    return parts


def _read() -> tuple[str, list[list[str]]]:
    """Return how many messages are held; and session id, mailbox and counts, all as texts.

    Nothing if no daemon keeps the file.
    """
    path = paths.status_path()
    try:
        with open(path, encoding="utf-8") as file:
            first, *lines = file.read().split("\n")
        pid, _, held = first.partition("\t")
        if pid.isdigit() and held.isdigit() and _is_alive(int(pid)):
            rows = [line.split("\t") for line in lines]
            return held, [row for row in rows if len(row) == _COLUMNS]
    except FileNotFoundError:
        _ask_for_it(path)
    except (OSError, ValueError):
        pass
    return "0", []


def _ask_for_it(path: str) -> None:
    """Make the file: the daemon keeps it from now on."""
    try:  # noqa: SIM105  # contextlib costs 4 ms
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError:
        pass


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # finding out is too expensive for a status line
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
