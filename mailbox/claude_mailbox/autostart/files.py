"""Small files of the platform: written whole or not at all, removed without a trace."""

import os

from claude_mailbox.errors import AutostartError


def is_same(path: str, content: bytes) -> bool:
    """Say whether the file *path* has exactly *content*."""
    try:
        with open(path, "rb") as file:
            return file.read() == content
    except OSError:
        return False


def write_file(path: str, content: bytes) -> None:
    """Write the file in one step, and the folders above it.

    Raises:
        AutostartError: if that is not possible; an older file is then still whole.
    """
    passing = f"{path}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(passing, "wb") as file:
            file.write(content)
        os.replace(passing, path)
    except OSError as error:
        raise AutostartError(f"Cannot write {path}: {error.strerror}.") from None


def remove_file(path: str) -> bool:
    """Remove the file; False when there is none.

    Raises:
        AutostartError: if that is not possible.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise AutostartError(f"Cannot remove {path}: {error.strerror}.") from None
    return True


def remove_empty(*folders: str) -> None:
    """Remove those of *folders* that are there and empty, in the given order."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            continue
