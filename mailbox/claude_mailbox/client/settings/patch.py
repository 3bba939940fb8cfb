"""Adds our hooks to a settings file of Claude Code, and removes exactly those again.

The file is edited as text: what others wrote stays byte for byte. A change is written to a new
file that replaces the old one. While our hooks are in the file, its original content is kept in a
backup beside it.
"""

import contextlib
import os
from dataclasses import dataclass
from typing import cast

from claude_mailbox.client.settings import json_edit
from claude_mailbox.client.settings.files import read_text, replace_file
from claude_mailbox.client.settings.handlers import Handler
from claude_mailbox.client.settings.json_edit import Node
from claude_mailbox.errors import ConfigError

# The end of each of our commands, by which we know them. To a shell it is a comment.
MARK = "  # added by claude-mailbox"
BACKUP_SUFFIX = ".before-claude-mailbox"
_NEW_FILE = "{}\n"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of a settings file that has not been made yet.

    Attributes:
        path: the file, with symbolic links resolved.
        old: its present content; None if it does not exist.
        new: its new content; None if it is to be deleted.
    """

    path: str
    old: str | None
    new: str | None

    @property
    def backup(self) -> str:
        """Path of the file that keeps the content from before our hooks."""
        return self.path + BACKUP_SUFFIX


def plan(path: str, wanted: dict[str, list[Handler]]) -> Patch:
    """Return the change after which our handlers in the file are the *wanted* ones.

    Raises:
        ConfigError: if the file cannot be read, is not JSON, or does not have the form of settings.
    """
    path = os.path.realpath(path)
    old = read_text(path)
    try:
        # An empty file is one without settings.
        is_empty = not (old or "").removeprefix(_BYTE_ORDER_MARK).strip()
        new = patched(_NEW_FILE if is_empty else str(old), wanted)
    except ValueError as error:
        raise ConfigError(
            f"{path} is broken ({error}); nothing was changed. Correct it first."
        ) from None
    # Without a backup there was no file before ours.
    if new == _NEW_FILE and not os.path.exists(path + BACKUP_SUFFIX):
        return Patch(path, old, None if has_ours(old) else old)
    return Patch(path, old, new)


def write(patch: Patch) -> None:
    """Make a change, completely or not at all.

    Raises:
        ConfigError: if the file or its folder cannot be written.
    """
    if patch.new == patch.old:
        return
    try:
        os.makedirs(os.path.dirname(patch.path), exist_ok=True)
        if patch.old is not None and not has_ours(patch.old):
            replace_file(patch.backup, patch.old, like=patch.path)
        if patch.new is None:
            os.unlink(patch.path)
            with contextlib.suppress(OSError):  # others have files there
                os.rmdir(os.path.dirname(patch.path))
        else:
            replace_file(patch.path, patch.new, like=patch.path)
        if not has_ours(patch.new) and os.path.exists(patch.backup):
            os.unlink(patch.backup)
    except OSError as error:
        raise ConfigError(
            f"Cannot write {patch.path} ({error.strerror}): check its permissions."
        ) from None


def patched(text: str, wanted: dict[str, list[Handler]]) -> str:
    """Return the document with our handlers replaced by the *wanted* ones.

    Raises:
        ValueError: if it is not JSON, or does not have the form of settings.
    """
    lead = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    text = text.removeprefix(lead)
    if _ours(_hooks(text)) == wanted:
        return lead + text
    text = _without_ours(text)
    for event, handlers in wanted.items():
        text = _with_group(text, event, {"hooks": handlers})
    return lead + text


def _hooks(text: str) -> Node | None:
    """Return the object with the hooks; check the form of everything that we look at in it."""
    root = json_edit.parse(text)
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


def has_ours(text: str | None) -> bool:
    """Return whether a document has handlers of ours."""
    content = (text or "").removeprefix(_BYTE_ORDER_MARK).strip()
    return bool(content) and bool(_ours(_hooks(content)))


def _is_ours(handler: Node) -> bool:
    command = handler.value.get("command") if isinstance(handler.value, dict) else None
    return isinstance(command, str) and command.endswith(MARK)


def _without_ours(text: str) -> str:
    """Remove our handlers one by one, each with everything that would be empty without it."""
    while True:
        root = json_edit.parse(text)
        path = _path_to_ours(root)
        if path is None:
            return text
        # Go up to the container that has something else in it.
        while len(path) > 1 and len(path[-1][0].children) == 1:
            path.pop()
        text = json_edit.remove(text, *path[-1])


def _path_to_ours(root: Node) -> list[tuple[Node, int]] | None:
    """Return the path to the first handler of ours: each container, and an index in it.

    It does not stop at groups: one without handlers is removed whole, with its matcher.
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
    root = json_edit.parse(text)
    hooks = root.child("hooks")
    if hooks is None:
        return json_edit.add_member(text, root, "hooks", {event: [group]})
    groups = hooks.child(event)
    if groups is None:
        return json_edit.add_member(text, hooks, event, [group])
    return json_edit.add_item(text, groups, group)
