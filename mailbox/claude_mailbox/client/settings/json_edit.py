"""Edits a JSON document as text, so that the rest of it stays byte for byte as it was.

`parse` finds the position of every value. The other functions return the text with one value
added or removed; what is added is laid out like its neighbors.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # its stubs lack it

_WHITESPACE = " \t\n\r"
_DEFAULT_INDENT = "  "


@dataclass(slots=True)
class Node:
    """One value of a document.

    Attributes:
        start: position of its first character.
        end: position after its last character.
        value: the decoded value.
        keys: keys of an object, in order.
        children: members of an object, or items of an array.
        begins: position where each child begins, its key included.
    """

    start: int
    end: int = -1
    value: object = None
    keys: list[str] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)

    def child(self, key: str) -> "Node | None":
        """Return the member *key* of an object, or None."""
        return self.children[self.keys.index(key)] if key in self.keys else None


def without_comments(text: str) -> str:
    """Return a document with blanks in the place of its comments and trailing commas.

    Every position stays what it was, so what is found in the result can be edited in *text*.

    Raises:
        ValueError: if a comment or string does not end.
    """
    kept: list[str] = []
    comma = -1  # where the last comma is, if nothing but blanks and comments came after it
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = scanstring(text, at + 1, True)[1]
        elif text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
        elif text.startswith("/*", at):
            end = text.index("*/", at + 2) + 2
        else:
            end = at + 1
        piece = text[at:end]
        if piece.startswith("/") and len(piece) > 1:
            piece = "".join(c if c in _WHITESPACE else " " for c in piece)
        elif piece in ("]", "}") and comma >= 0:
            kept[comma] = " "
        if piece.strip(_WHITESPACE):
            comma = len(kept) if piece == "," else -1
        kept.append(piece)
        at = end
    return "".join(kept)


def parse(text: str) -> Node:
    """Return the root of a JSON document.

    Raises:
        ValueError: if it is not JSON, or an object in it has a key twice; it says where.
    """
    try:
        root = _value(text, _skip(text, 0))
    except json.JSONDecodeError as error:
        raise ValueError(f"{_position(text, error.pos)}: {error.msg}") from None
    except IndexError:
        raise ValueError("it ends too early") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    end = _skip(text, root.end)
    if end != len(text):
        raise ValueError(f"{_position(text, end)}: there is more text after the end")
    return root


def add_member(text: str, container: Node, key: str, value: object) -> str:
    """Return the text with a new member at the end of an object."""
    return _add(text, container, value, f"{json.dumps(key, ensure_ascii=False)}: ")


def add_item(text: str, container: Node, value: object) -> str:
    """Return the text with a new item at the end of an array."""
    return _add(text, container, value, "")


def replace(text: str, node: Node, value: object) -> str:
    """Return the text with another value in the place of *node*."""
    indent = _indent_of_line(text, node.start)
    lines = json.dumps(value, ensure_ascii=False, indent=_indent_unit(text)).split("\n")
    return text[: node.start] + f"\n{indent}".join(lines) + text[node.end :]


def remove(text: str, container: Node, index: int) -> str:
    """Return the text without one child of an object or array and the comma beside it."""
    if index + 1 < len(container.children):
        return text[: container.begins[index]] + text[container.begins[index + 1] :]
    if index:
        return text[: container.children[index - 1].end] + text[container.children[index].end :]
    return text[: container.start + 1] + text[container.end - 1 :]


def _value(text: str, at: int) -> Node:
    node = Node(at)
    if text[at] == "{":
        for place in _children(text, node, "}"):
            key, colon = _key(text, place)
            if key in node.keys:
                raise ValueError(f"{_position(text, place)}: the key {key!r} is repeated")
            node.keys.append(key)
            node.children.append(_value(text, _skip(text, colon + 1)))
        node.value = dict(zip(node.keys, [each.value for each in node.children], strict=True))
    elif text[at] == "[":
        for place in _children(text, node, "]"):
            node.children.append(_value(text, place))
        node.value = [each.value for each in node.children]
    else:
        node.value, node.end = json.JSONDecoder(parse_constant=_refuse).raw_decode(text, at)
    return node


def _children(text: str, node: Node, closing: str) -> Iterator[int]:
    """Yield the position of each child; the caller parses the child before the next step."""
    at = _skip(text, node.start + 1)
    while text[at] != closing or node.children:
        node.begins.append(at)
        yield at
        at = _skip(text, node.children[-1].end)
        if text[at] == closing:
            break
        if text[at] != ",":
            raise ValueError(f"{_position(text, at)}: ',' or '{closing}' is missing")
        at = _skip(text, at + 1)
    node.end = at + 1


def _key(text: str, at: int) -> tuple[str, int]:
    """Return a key and the position of the colon after it."""
    if text[at] != '"':
        raise ValueError(f"{_position(text, at)}: a key in double quotes is missing")
    key, end = scanstring(text, at + 1, True)
    colon = _skip(text, end)
    if text[colon] != ":":
        raise ValueError(f"{_position(text, colon)}: ':' is missing")
    return key, colon


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def _position(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _add(text: str, container: Node, value: object, prefix: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    if container.children:
        before = container.children[-1].end
        head, gap = text[:before] + ",", text[container.start + 1 : container.begins[0]]
        tail = text[before:]
        if "\n" not in gap:
            # The children are all on one line.
            return f"{head} {prefix}{json.dumps(value, ensure_ascii=False)}{tail}"
        indent = gap.rpartition("\n")[2]
    else:
        head, tail = text[: container.start + 1], text[container.end - 1 :]
        outer = _indent_of_line(text, container.start)
        indent = outer + _indent_unit(text)
        tail = newline + outer + tail
    lines = json.dumps(value, ensure_ascii=False, indent=_indent_unit(text)).split("\n")
    return head + newline + indent + prefix + f"{newline}{indent}".join(lines) + tail


def _indent_of_line(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _indent_unit(text: str) -> str:
    """Return the indentation of one level in this document."""
    for line in text.splitlines():
        if line[:1] in (" ", "\t") and line.strip():
            return line[: len(line) - len(line.lstrip())]
    return _DEFAULT_INDENT
