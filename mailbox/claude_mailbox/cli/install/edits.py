"""What is put into a file: an entry in JSON, TOML or YAML, hooks, or a file of our own.

What others wrote stays as it is. An entry of ours is known by the command that it runs; one of the
same name that runs something else is somebody else's, and is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable

from claude_mailbox.client.settings import json_edit, patch
from claude_mailbox.client.settings.handlers import Handler
from claude_mailbox.client.settings.json_edit import Node

# By this argument entries of ours are known.
OURS = "mcp-stdio"


class Edit(Protocol):
    """Something that is put into a file; the text of a file that does not exist is empty.

    Every method raises ValueError if the text has a form that it does not understand.
    """

    def apply(self, text: str) -> str:
        """Return the text with it."""
        ...

    def undo(self, text: str) -> str:
        """Return the text without it."""
        ...

    def is_in(self, text: str) -> bool:
        """Return whether it, or a former form of it, is in there."""
        ...


@dataclass(frozen=True)
class JsonEntry:
    """A value in a JSON document, which may have comments.

    Attributes:
        keys: the way to it.
        value: what it is to be.
    """

    keys: Sequence[str]
    value: Mapping[str, object]

    def apply(self, text: str) -> str:
        text = text if text.strip() else "{}\n"
        container = self._root(text)
        for depth, key in enumerate(self.keys[:-1]):
            child = container.child(key)
            if child is None:
                value: Mapping[str, object] = self.value
                for inner in reversed(self.keys[depth + 1 :]):
                    value = {inner: value}
                return json_edit.add_member(text, container, key, value)
            container = _object(child, key)
        found = container.child(self.keys[-1])
        if found is None:
            return json_edit.add_member(text, container, self.keys[-1], self.value)
        present = _ours(found.value, ".".join(self.keys))
        wanted = {**present, **self.value}
        return text if present == wanted else json_edit.replace(text, found, wanted)

    def undo(self, text: str) -> str:
        if not self.is_in(text):
            return text
        path = [self._root(text)]
        for key in self.keys[:-1]:
            child = path[-1].child(key)
            assert child is not None  # noqa: S101  # it is in there
            path.append(child)
        # Take away what would be empty without it, too.
        depth = len(path) - 1
        while depth and len(path[depth].children) == 1:
            depth -= 1
        index = path[depth].keys.index(self.keys[depth])
        return json_edit.remove(text, path[depth], index)

    def is_in(self, text: str) -> bool:
        if not text.strip():
            return False
        node: Node | None = self._root(text)
        for key in self.keys:
            node = _object(node, key).child(key) if node is not None else None
        return node is not None and OURS in json.dumps(node.value)

    def _root(self, text: str) -> Node:
        return _object(json_edit.parse(json_edit.without_comments(text)), "the document")


def _object(node: Node, what: str) -> Node:
    if not isinstance(node.value, dict):
        raise ValueError(f"'{what}' is not an object")
    return node


def _ours(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict) or OURS not in json.dumps(value):
        raise ValueError(f"'{what}' is there already and runs something else: rename or remove it")
    return value


@dataclass(frozen=True)
class TomlEntry:
    """A table in a TOML document; see `JsonEntry`."""

    keys: Sequence[str]
    value: Mapping[str, object]

    def apply(self, text: str) -> str:
        document = _toml(text)
        table: AbstractTable | tomlkit.TOMLDocument = document
        for key in self.keys[:-1]:
            if key not in table:
                table[key] = tomlkit.table(is_super_table=True)
            table = _table(table[key], key)
        last = self.keys[-1]
        if last not in table:
            new = tomlkit.table()
            new.update(self.value)
            table[last] = new
        else:
            present = _ours(table[last].unwrap(), ".".join(self.keys))
            if present == {**present, **self.value}:
                return text
            _table(table[last], last).update(self.value)
        return tomlkit.dumps(document)

    def undo(self, text: str) -> str:
        if not self.is_in(text):
            return text
        document = _toml(text)
        path: list[AbstractTable | tomlkit.TOMLDocument] = [document]
        for key in self.keys[:-1]:
            path.append(_table(path[-1][key], key))
        for table, key in zip(reversed(path), reversed(self.keys), strict=True):
            del table[key]
            if len(table):
                break
        return tomlkit.dumps(document)

    def is_in(self, text: str) -> bool:
        value: object = _toml(text).unwrap()
        for key in self.keys:
            value = value.get(key) if isinstance(value, dict) else None
        return isinstance(value, dict) and OURS in json.dumps(value, default=str)


def _toml(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ValueError(str(error)) from None


def _table(value: object, what: str) -> AbstractTable:
    if not isinstance(value, AbstractTable):
        raise ValueError(f"'{what}' is not a table")
    return value


@dataclass(frozen=True)
class Hooks:
    """Hooks in the form of Claude Code, which others have taken over.

    Attributes:
        handlers: our handlers by event.
    """

    handlers: dict[str, list[Handler]]

    def apply(self, text: str) -> str:
        return patch.patched(text if text.strip() else "{}\n", self.handlers)

    def undo(self, text: str) -> str:
        return patch.patched(text, {}) if text.strip() else text

    def is_in(self, text: str) -> bool:
        return patch.has_ours(text)


@dataclass(frozen=True)
class OwnFile:
    """A file that is ours as a whole.

    Attributes:
        content: its text.
        mark: what a file of ours has in it, in whatever version.
    """

    content: str
    mark: str

    def apply(self, text: str) -> str:
        if text and self.mark not in text:
            raise ValueError("it is somebody else's")
        return self.content

    def undo(self, text: str) -> str:
        return "" if self.is_in(text) else text

    def is_in(self, text: str) -> bool:
        return self.mark in text
