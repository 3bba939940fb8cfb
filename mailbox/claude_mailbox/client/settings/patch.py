"""Adds our hooks to a settings file of Claude Code, and takes exactly those out again.

The file is changed as text: what others wrote into it stays byte for byte. A change is written
to a new file that replaces the old one. The content from before our hooks is kept beside it until
they are taken out.
"""

import os
import tempfile
from dataclasses import dataclass
from typing import cast

from claude_mailbox.client.settings import json_text
from claude_mailbox.client.settings.entries import Handler
from claude_mailbox.client.settings.json_text import Node
from claude_mailbox.errors import ConfigError

# Ends each of our commands, a comment to every shell: so they are told from what others wrote.
MARK = "  # added by claude-mailbox"
BACKUP_SUFFIX = ".before-claude-mailbox"
_NEW_FILE = "{}\n"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of a settings file that has not been written yet.

    Attributes:
        path: the file, with symbolic links followed.
        old: its content; None when it is not there.
        new: what its content is to be; None when the file is to go.
    """

    path: str
    old: str | None
    new: str | None

    @property
    def backup(self) -> str:
        """Where the content from before our hooks is kept."""
        return self.path + BACKUP_SUFFIX


def plan(path: str, wanted: dict[str, list[Handler]]) -> Patch:
    """Return what has to change so that the file has the *wanted* handlers of ours, and no others.

    Raises:
        ConfigError: if the file cannot be read, is no JSON, or is not laid out as settings are.
    """
    path = os.path.realpath(path)
    old = _read(path)
    try:
        new = _patched(_NEW_FILE if old is None else old, wanted)
    except ValueError as error:
        raise ConfigError(
            f"{path} is broken ({error}); nothing was changed. Correct it first."
        ) from None
    # Without a backup, there was no file before us.
    if new == _NEW_FILE and not os.path.exists(path + BACKUP_SUFFIX):
        return Patch(path, old, None if _has_ours(old) else old)
    return Patch(path, old, new)


def write(patch: Patch) -> None:
    """Carry a change out: all of it, or nothing.

    Raises:
        ConfigError: if the file or its folder cannot be written.
    """
    if patch.new == patch.old:
        return
    try:
        os.makedirs(os.path.dirname(patch.path), exist_ok=True)
        if patch.old is not None and not _has_ours(patch.old):
            _replace(patch.backup, patch.old, like=patch.path)
        if patch.new is None:
            os.unlink(patch.path)
        else:
            _replace(patch.path, patch.new, like=patch.path)
        if not _has_ours(patch.new) and os.path.exists(patch.backup):
            os.unlink(patch.backup)
    except OSError as error:
        raise ConfigError(
            f"Cannot write {patch.path} ({error.strerror}): check its permissions."
        ) from None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8; nothing was changed. Correct it first.") from None
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None


def _replace(path: str, content: str, *, like: str) -> None:
    """Write a file so that nobody ever sees half of it; its mode is that of the file *like*."""
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


def _patched(text: str, wanted: dict[str, list[Handler]]) -> str:
    """Return the document with the wanted handlers of ours and no others."""
    lead = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    text = text.removeprefix(lead)
    if _ours(_hooks(text)) == wanted:
        return lead + text
    text = _without_ours(text)
    for event, handlers in wanted.items():
        text = _with_group(text, event, {"hooks": handlers})
    return lead + text


def _hooks(text: str) -> Node | None:
    """Return the object with the hooks, checked as far as we have to walk through it."""
    root = json_text.parse(text)
    if not isinstance(root.value, dict):
        raise ValueError("it is not one JSON object")
    hooks = root.child("hooks")
    if hooks is None:
        return None
    if not isinstance(hooks.value, dict):
        raise ValueError("'hooks' is not an object")
    for event, groups in zip(hooks.keys, hooks.children, strict=True):
        if not isinstance(groups.value, list):
            raise ValueError(f"'hooks.{event}' is not a list")
        for group in groups.children:
            if not isinstance(group.value, dict) or not isinstance(group.value.get("hooks"), list):
                raise ValueError(f"'hooks.{event}' has an entry without a list 'hooks'")
    return hooks


def _ours(hooks: Node | None) -> dict[str, list[Handler]]:
    """Return our handlers by event."""
    found: dict[str, list[Handler]] = {}
    if hooks is not None:
        for event, groups in zip(hooks.keys, hooks.children, strict=True):
            for group in groups.children:
                for handler in (group.child("hooks") or Node(0)).children:
                    if _is_ours(handler):
                        found.setdefault(event, []).append(cast("Handler", handler.value))
    return found


def _has_ours(text: str | None) -> bool:
    return text is not None and bool(_ours(_hooks(text.removeprefix(_BYTE_ORDER_MARK))))


def _is_ours(handler: Node) -> bool:
    command = handler.value.get("command") if isinstance(handler.value, dict) else None
    return isinstance(command, str) and command.endswith(MARK)


def _without_ours(text: str) -> str:
    """Take our handlers out one by one, each with all that would be empty without it."""
    while True:
        root = json_text.parse(text)
        path = _path_to_ours(root)
        if path is None:
            return text
        # Up to what has something else in it.
        while len(path) > 1 and len(path[-1][0].children) == 1:
            path.pop()
        text = json_text.remove(text, *path[-1])


def _path_to_ours(root: Node) -> list[tuple[Node, int]] | None:
    """Return the way from the root to the first handler of ours: containers and indexes.

    A group counts by its handlers: without any, whatever else it has is of no use.
    """
    hooks = root.child("hooks") or Node(0)
    for event, groups in enumerate(hooks.children):
        for number, group in enumerate(groups.children):
            handlers = group.child("hooks") or Node(0)
            for index, handler in enumerate(handlers.children):
                if _is_ours(handler):
                    top = root.keys.index("hooks")
                    return [(root, top), (hooks, event), (groups, number), (handlers, index)]
    return None


def _with_group(text: str, event: str, group: dict[str, object]) -> str:
    root = json_text.parse(text)
    hooks = root.child("hooks")
    if hooks is None:
        return json_text.add_member(text, root, "hooks", {event: [group]})
    groups = hooks.child(event)
    if groups is None:
        return json_text.add_member(text, hooks, event, [group])
    return json_text.add_item(text, groups, group)
