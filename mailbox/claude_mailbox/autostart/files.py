"""Writes and removes the small files of an entry."""

import os

from claude_mailbox.errors import AutostartError


def is_same(path: str, content: bytes) -> bool:
    """Return whether the file exists and has exactly this *content*."""
    try:
        with open(path, "rb") as file:
            return file.read() == content
    except OSError:
        return False


def write_file(path: str, content: bytes) -> None:
    """Write a file in one step, and make the folders above it.

    Raises:
        AutostartError: if it cannot be written; an older file is still complete then.
    """
    temporary = f"{path}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise AutostartError(f"Cannot write {path}: {error.strerror}.") from None


def remove_file(path: str) -> bool:
    """Remove a file; return False if there is none.

    Raises:
        AutostartError: if it cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise AutostartError(f"Cannot remove {path}: {error.strerror}.") from None
    return True


def remove_empty_folders(*folders: str) -> None:
    """Remove those of *folders* that exist and are empty, in the given order."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            continue
