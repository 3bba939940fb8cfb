"""The changes of files that an install or uninstall makes, planned as a whole and then made."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from claude_mailbox.cli.install.edits import Edit
from claude_mailbox.client.settings.files import read_text, replace_file
from claude_mailbox.client.settings.patch import BACKUP_SUFFIX
from claude_mailbox.errors import ConfigError

# What is left of a file that had nothing but what is ours.
_EMPTY = frozenset({"", "{}"})


@dataclass(frozen=True)
class Change:
    """A change of a file that has not been made yet.

    Attributes:
        path: the file, with symbolic links resolved.
        old: its present text; None if it does not exist.
        new: its new text; None if it is to be deleted.
        keeps_copy: whether a copy of the old text is kept beside it.
        drops_copy: whether the copy goes.
    """

    path: str
    old: str | None
    new: str | None
    keeps_copy: bool = False
    drops_copy: bool = False

    @property
    def copy(self) -> str:
        """Path of the copy from before the first change."""
        return self.path + BACKUP_SUFFIX

    def make(self) -> None:
        """Make it, completely or not at all.

        Raises:
            ConfigError: if a file cannot be written.
        """
        if self.new == self.old:
            return
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            if self.keeps_copy and self.old is not None:
                replace_file(self.copy, self.old, like=self.path)
            if self.new is None:
                os.unlink(self.path)
                with contextlib.suppress(OSError):  # others have files there
                    os.rmdir(os.path.dirname(self.path))
            else:
                replace_file(self.path, self.new, like=self.path)
            if self.drops_copy and os.path.exists(self.copy):
                os.unlink(self.copy)
        except OSError as error:
            raise ConfigError(
                f"Cannot write {self.path} ({error.strerror}): check its permissions."
            ) from None


def plan_install(edits: Iterable[tuple[str, Edit]]) -> list[Change]:
    """Return the changes that put *edits* into their files.

    Raises:
        ConfigError: if a file cannot be read, or has a form that is not understood.
    """
    changes = []
    for path, own in _by_file(edits):
        old = read_text(path)
        text = old or ""
        with _told(path):
            keeps_copy = old is not None and not any(edit.is_in(text) for edit in own)
            for edit in own:
                text = edit.apply(text)
        changes.append(Change(path, old, text, keeps_copy=keeps_copy))
    return changes


def plan_uninstall(edits: Iterable[tuple[str, Edit]]) -> list[Change]:
    """Return the changes that take *edits* out of their files again.

    Raises:
        ConfigError: if a file cannot be read, or has a form that is not understood.
    """
    changes = []
    for path, own in _by_file(edits):
        old = read_text(path)
        if old is None:
            continue
        before = read_text(path + BACKUP_SUFFIX)
        with _told(path):
            if before is not None and _applied(own, before) == old:
                new: str | None = before  # byte for byte, blank lines too
            else:
                new = old
                for edit in own:
                    new = edit.undo(new)
                if new != old and before is None and new.strip() in _EMPTY:
                    new = None
        changes.append(Change(path, old, new, drops_copy=True))
    return changes


def _applied(edits: Sequence[Edit], text: str) -> str:
    for edit in edits:
        text = edit.apply(text)
    return text


def _by_file(edits: Iterable[tuple[str, Edit]]) -> Iterable[tuple[str, list[Edit]]]:
    found: dict[str, list[Edit]] = {}
    for path, edit in edits:
        found.setdefault(os.path.realpath(path), []).append(edit)
    return found.items()


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Say which file has a form that is not understood."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(
            f"{path} is not changed: {str(error).rstrip('.')}. Correct that, or add the entry by"
            " hand: 'claude-mailbox mcp-config' prints it."
        ) from None
