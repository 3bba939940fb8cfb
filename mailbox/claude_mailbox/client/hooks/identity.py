"""Who a session is: the mailbox it would like to have, and the process that runs it.

Nothing here runs a program: a hook has no time for ``git`` or ``ps``.
"""

import os

PREFIX_VARIABLE = "CLAUDE_MAILBOX_PREFIX"
NO_PROJECT = "claude"
PROJECT_LIMIT = 40
SUFFIX_LENGTH = 8
_SHELLS = frozenset({"sh", "dash", "bash", "zsh", "ash", "busybox"})


def mailbox_name(session_id: str, cwd: str | None) -> str:
    """Return ``<project>-<8 hex>`` for a session in the folder *cwd*.

    ``CLAUDE_MAILBOX_PREFIX`` stands in for the project.
    """
    project = plain(os.environ.get(PREFIX_VARIABLE, "")) or (project_of(cwd) if cwd else "")
    letters = "".join(c for c in session_id.lower() if c.isascii() and c.isalnum())
    return f"{project or NO_PROJECT}-{letters[:SUFFIX_LENGTH] or 'session'}"


def project_of(cwd: str) -> str:
    """Return the plain name of the git top level above *cwd*, else of *cwd*; maybe nothing."""
    return plain(os.path.basename(top_level(cwd) or os.path.abspath(cwd)))


def top_level(cwd: str) -> str | None:
    """Return the top folder of the git repository or worktree that *cwd* is in, or None."""
    folder = os.path.abspath(cwd)
    while not _is_top_level(folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


def plain(text: str) -> str:
    """Return *text* in lower case, at most 40 letters and digits, with single dashes between."""
    if not text.isascii():
        # A file system may keep an accent apart from its letter.
        from unicodedata import normalize

        text = normalize("NFC", text)
    kept = "".join(c if c.isalnum() else " " for c in text.lower())
    return "-".join(kept.split())[:PROJECT_LIMIT].strip("-")


def _is_top_level(folder: str) -> bool:
    """Say whether git works here: in a repository, or a worktree or submodule with a ``.git`` file.

    An empty ``.git`` folder is none, for git neither.
    """
    git = os.path.join(folder, ".git")
    return os.path.isfile(git) or os.path.exists(os.path.join(git, "HEAD"))


def client_key() -> str | None:
    """Return what tells the client's process from all others, or None when it is not to be found.

    It is the process id, on Linux with the time at which the process started. The hooks and the
    headers of the MCP connection have to come to the same key by different ways: hooks are told
    the id, the others know the name of the client's socket, which has it.
    """
    pid = os.environ.get("CLAUDE_PID") or _pid_in_socket_name() or _ancestor()
    if pid is None or not (pid.isascii() and pid.isdigit()):
        return None
    stat = _stat(pid)
    return pid if stat is None else f"{pid}-{stat[19]}"


def _pid_in_socket_name() -> str | None:
    path = os.environ.get("CLAUDE_CODE_MESSAGING_SOCKET", "")
    name = path.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    return name if name.isascii() and name.isdigit() else None


def _ancestor() -> str | None:
    """Return the first ancestor that is no shell: the client starts us through one, or not."""
    pid = str(os.getppid())
    while True:
        stat = _stat(pid)
        if stat is None:
            return None
        if stat[-1] not in _SHELLS:
            return pid
        pid = stat[1]


def _stat(pid: str) -> list[str] | None:
    """Return what Linux knows of a process: from its state (field 3) on, and its program's name."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read().decode(errors="replace")
    except OSError:
        return None
    # The name is in brackets, and may have blanks and brackets itself.
    before, _, after = content.rpartition(")")
    return [*after.split(), before.partition("(")[2]]
