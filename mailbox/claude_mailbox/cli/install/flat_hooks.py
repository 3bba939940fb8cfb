"""Hooks in the form of Cursor: for each event a list of handlers, without groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from claude_mailbox.client.settings import json_edit
from claude_mailbox.client.settings.handlers import Handler
from claude_mailbox.client.settings.json_edit import Node
from claude_mailbox.client.settings.patch import MARK

_VERSION = {"version": 1}


@dataclass(frozen=True)
class FlatHooks:
    """Our handlers in such a file; see `edits.Edit`.

    Attributes:
        handlers: one for each event.
    """

    handlers: Mapping[str, Handler]

    def apply(self, text: str) -> str:
        text = text if text.strip() else "{}\n"
        if {event: [handler] for event, handler in self.handlers.items()} == _ours(text):
            return text
        text = self.undo(text)
        root = _root(text)
        if root.child("version") is None:
            text = json_edit.add_member(text, root, "version", _VERSION["version"])
        for event, handler in self.handlers.items():
            root = _root(text)
            hooks = root.child("hooks")
            handlers = hooks and hooks.child(event)
            if hooks is None:
                text = json_edit.add_member(text, root, "hooks", {event: [handler]})
            elif handlers is None:
                text = json_edit.add_member(text, hooks, event, [handler])
            else:
                text = json_edit.add_item(text, handlers, handler)
        return text

    def undo(self, text: str) -> str:
        if not self.is_in(text):
            return text
        while path := _path_to_ours(_root(text)):
            # Take away what would be empty without it, too.
            while len(path) > 1 and len(path[-1][0].children) == 1:
                path.pop()
            text = json_edit.remove(text, *path[-1])
        root = _root(text)
        return json_edit.remove(text, root, 0) if root.value == _VERSION else text

    def is_in(self, text: str) -> bool:
        return bool(text.strip()) and bool(_ours(text))


def _root(text: str) -> Node:
    """Return the document; check the form of everything that is looked at in it."""
    root = json_edit.parse(text)
    if not isinstance(root.value, dict):
        raise ValueError("it is not one JSON object")
    if root.value.get("version", 1) != 1:
        raise ValueError("'version' is not 1")
    hooks = root.child("hooks") or Node(0, value={})
    if not isinstance(hooks.value, dict):
        raise ValueError("'hooks' is not an object")
    for event, handlers in hooks.value.items():
        if not isinstance(handlers, list) or not all(isinstance(each, dict) for each in handlers):
            raise ValueError(f"'hooks.{event}' is not a list of hooks")
    return root


def _ours(text: str) -> dict[str, list[Handler]]:
    hooks = _root(text).child("hooks") or Node(0, value={})
    found: dict[str, list[Handler]] = {}
    for event, handlers in zip(hooks.keys, hooks.children, strict=True):
        for handler in filter(_is_ours, handlers.children):
            found.setdefault(event, []).append(cast("Handler", handler.value))
    return found


def _is_ours(handler: Node) -> bool:
    command = handler.value.get("command") if isinstance(handler.value, dict) else None
    return isinstance(command, str) and command.endswith(MARK)


def _path_to_ours(root: Node) -> list[tuple[Node, int]]:
    """Return the path to the first handler of ours: each container, and an index in it."""
    hooks = root.child("hooks") or Node(0)
    for event, handlers in enumerate(hooks.children):
        for index, handler in enumerate(handlers.children):
            if _is_ours(handler):
                return [(root, root.keys.index("hooks")), (hooks, event), (handlers, index)]
    return []
