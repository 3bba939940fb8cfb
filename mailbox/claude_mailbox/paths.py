"""The home folder and the files in it. Imports next to nothing: hooks must start fast."""

import os

from claude_mailbox.errors import ConfigError

DEFAULT_PORT = 37849
DEFAULT_BIND = "127.0.0.1"
# The lowest limit of the systems that we run on (macOS: 104 bytes with the final NUL).
SOCKET_PATH_LIMIT = 103


def home() -> str:
    """Return the home folder: ``CLAUDE_MAILBOX_HOME``, else ``~/.claude-mailbox``.

    Raises:
        ConfigError: if the variable has a relative path.
    """
    given = os.environ.get("CLAUDE_MAILBOX_HOME")
    if given:
        return absolute(given, "CLAUDE_MAILBOX_HOME")
    return os.path.join(os.path.expanduser("~"), ".claude-mailbox")


def absolute(path: str, what: str) -> str:
    """Return *path* with ``~`` expanded, as no shell does where Claude Code sets variables.

    Raises:
        ConfigError: if it is relative: each working folder would have its own mail.
    """
    expanded = os.path.expanduser(path)
    if not os.path.isabs(expanded):
        raise ConfigError(
            f"{what} must be an absolute path or begin with ~/, not '{path}': write the whole path."
        )
    return os.path.normpath(expanded)


def socket_path() -> str:
    """Return the path of the daemon's Unix socket."""
    return os.path.join(home(), "mailbox.sock")


def file_id(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one at the same path, or None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def size(path: str) -> int | None:
    """Return how many bytes a file has, or None if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def lock_path() -> str:
    """Return the path of the lock file, in which the running daemon writes its pid."""
    return os.path.join(home(), "mailbox.lock")


def config_path() -> str:
    """Return the path of the user's configuration file."""
    return os.path.join(home(), "mailbox.json")


def config_paths() -> list[str]:
    """Return the paths of all configuration files; a later one overrides those before it.

    On Windows a file for the whole machine comes before the user's own.
    """
    paths = [config_path()]
    if os.name == "nt":
        shared = os.environ.get("PROGRAMDATA", r"C:\ProgramData")
        paths.insert(0, os.path.join(shared, "ClaudeMailbox", "mailbox.json"))
    return paths


def database_path() -> str:
    """Return the default path of the database."""
    return os.path.join(home(), "mailbox.db")


def secret_path() -> str:
    """Return the path of the file by which the daemon proves on TCP that it is ours."""
    return os.path.join(home(), "secret")


def unanswered_path() -> str:
    """Return the path of the file that hooks leave when the daemon did not answer in time."""
    return os.path.join(home(), "unanswered")


def status_path() -> str:
    """Return the path of the file that the daemon keeps for the client's status line."""
    return os.path.join(home(), "status")


def log_path() -> str:
    """Return the path of the log of a daemon that was started in the background."""
    return os.path.join(home(), "daemon.log")


def bells_path() -> str:
    """Return the folder of the doorbell files, one for each session."""
    return os.path.join(home(), "bells")


def bell_path(session_id: str) -> str:
    """Return the path of a session's doorbell file; the id may be any text."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in session_id)
    if name != session_id or not 0 < len(name) <= 64:
        import zlib  # hooks do without it, as the ids of Claude Code are plain

        name = f"{name[:64]}-{zlib.crc32(session_id.encode(errors='surrogatepass')):08x}"
    return os.path.join(bells_path(), name)


def companion_path(session_id: str) -> str:
    """Return the path of the file that the process has locked which rings a session from afar."""
    return f"{bell_path(session_id)}.companion"


def launch_record_path() -> str:
    """Return the path of the file from which the plugin knows how to start us."""
    return os.path.join(home(), "command")
