"""Reading and replacing settings files."""

import os
import tempfile

from claude_mailbox.errors import ConfigError


def read_text(path: str) -> str | None:
    """Return a file's text, or None if there is no file.

    Raises:
        ConfigError: if it cannot be read, or is not UTF-8.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8; nothing was changed. Correct it first.") from None
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None


def replace_file(path: str, content: str, *, like: str) -> None:
    """Write a file in one step, with the mode of the file *like*."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, os.stat(like).st_mode & 0o777 if os.path.exists(like) else 0o600)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
