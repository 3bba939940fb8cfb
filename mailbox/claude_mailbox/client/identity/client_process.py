"""Which process of Claude Code a hook or a tool call belongs to.

Nothing here runs a program: a hook has no time for ``ps``.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# States of a process that has ended, and whose parent has not asked how (proc(5)).
_ENDED = frozenset({"Z", "X"})
_SHELLS = frozenset({"sh", "dash", "bash", "zsh", "ash", "busybox"})


def client_key() -> str | None:
    """Return a key that tells this process of Claude Code from all others, or None.

    It is the process id, on Linux with the time at which the process started. The hooks and the
    headers of the MCP connection must find the same key in different ways: hooks get the process
    id in a variable, the headers' helper gets the path of a socket that is named after it.
    """
    return _key(os.environ.get("CLAUDE_PID") or _pid_in_socket_name() or _ancestor())


def ancestor_key() -> str | None:
    """Return the key of the process that runs us, through shells or not: for other clients."""
    return _key(_ancestor())


def ancestor_keys() -> "Iterator[str]":
    """Yield the keys of the process that runs us, of the one that runs that, and so on."""
    pid = str(os.getppid())
    while pid != "0" and (stat := _stat(pid)) is not None:
        yield f"{pid}-{stat[19]}"
        pid = stat[1]


def ancestor_program() -> str | None:
    """Return the path of the program that runs us, through shells or not; None if unknown."""
    try:
        return os.readlink(f"/proc/{_ancestor()}/exe")
    except OSError:
        return None


def is_running(pid: int) -> bool:
    """Return whether the process runs; as long as nobody has asked how one ended, it still has its id."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    stat = _stat(str(pid))
    return stat is None or stat[0] not in _ENDED


def _key(pid: str | None) -> str | None:
    if pid is None or not (pid.isascii() and pid.isdigit()):
        return None
    stat = _stat(pid)
    return pid if stat is None else f"{pid}-{stat[19]}"


def _pid_in_socket_name() -> str | None:
    path = os.environ.get("CLAUDE_CODE_MESSAGING_SOCKET", "")
    name = path.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    return name if name.isascii() and name.isdigit() else None


def _ancestor() -> str | None:
    """Return the nearest ancestor that is not a shell; Claude Code may start us through one."""
    pid = str(os.getppid())
    while True:
        stat = _stat(pid)
        if stat is None:
            return None
        if stat[-1] not in _SHELLS:
            return pid
        pid = stat[1]


def _stat(pid: str) -> list[str] | None:
    """Return the fields of ``/proc/<pid>/stat`` from the state (field 3) on, then the name."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read().decode(errors="replace")
    except OSError:
        return None
    # The name is in parentheses, and may itself have blanks and parentheses.
    before, _, after = content.rpartition(")")
    return [*after.split(), before.partition("(")[2]]
