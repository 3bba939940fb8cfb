"""An entry in a YAML document, edited as text: for Goose, the one client that has YAML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from claude_mailbox.cli.install.edits import OURS


@dataclass(frozen=True)
class YamlEntry:
    """A mapping below a key at the top of the document.

    Attributes:
        section: the key.
        name: the entry's own key.
        lines: what it has, indented by two blanks for each level.
    """

    section: str
    name: str
    lines: Sequence[str]

    def apply(self, text: str) -> str:
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        if "\t" in text or any(re.match(r"(---|\.\.\.|%)", line) for line in lines[1:]):
            raise ValueError("it has tabs or several documents")
        at = self._section(lines)
        if at is None:
            return "".join([*lines, f"{self.section}:\n", *self._block(2)])
        start, end = self._span(lines, at)
        if start is None:
            return "".join(
                [*lines[: at + 1], *self._block(self._indent(lines, at)), *lines[at + 1 :]]
            )
        if OURS not in "".join(lines[start:end]):
            what = f"{self.section}.{self.name}"
            raise ValueError(
                f"'{what}' is there already and runs something else: rename or remove it"
            )
        return "".join([*lines[: start + 1], *self._updated(lines[start + 1 : end]), *lines[end:]])

    def undo(self, text: str) -> str:
        if not self.is_in(text):
            return text
        lines = text.splitlines(keepends=True)
        at = self._section(lines)
        assert at is not None  # noqa: S101  # it is in there
        start, end = self._span(lines, at)
        rest = lines[:start] + lines[end:]
        if self._children(rest, at) == []:
            del rest[at]
        return "".join(rest)

    def is_in(self, text: str) -> bool:
        lines = text.splitlines(keepends=True)
        at = self._section(lines)
        if at is None:
            return False
        start, end = self._span(lines, at)
        return start is not None and OURS in "".join(lines[start:end])

    def _section(self, lines: Sequence[str]) -> int | None:
        """Return the line of the section, or None."""
        found = [n for n, line in enumerate(lines) if re.match(rf"['\"]?{self.section}\b", line)]
        if not found:
            return None
        if len(found) > 1 or not re.fullmatch(
            rf"{self.section}:\s*(#.*)?", lines[found[0]].rstrip()
        ):
            raise ValueError(f"'{self.section}' is not a plain block of lines")
        return found[0]

    def _children(self, lines: Sequence[str], at: int) -> list[int]:
        """Return the lines of the section that are neither blank nor comments."""
        found = []
        for number in range(at + 1, len(lines)):
            line = lines[number]
            if line.strip() and not line.lstrip().startswith("#"):
                if not line.startswith(" "):
                    break
                found.append(number)
        return found

    def _indent(self, lines: Sequence[str], at: int) -> int:
        children = self._children(lines, at)
        if not children:
            return 2
        first = lines[children[0]]
        return len(first) - len(first.lstrip())

    def _span(self, lines: Sequence[str], at: int) -> tuple[int | None, int]:
        """Return the first line of the entry and the line after it, or None."""
        indent = self._indent(lines, at)
        children = self._children(lines, at)
        heads = [n for n in children if len(lines[n]) - len(lines[n].lstrip()) == indent]
        for number, head in enumerate(heads):
            if re.match(rf"['\"]?{self.name}['\"]?\s*:", lines[head].lstrip()):
                after = heads[number + 1] if number + 1 < len(heads) else children[-1] + 1
                return head, after
        return None, 0

    def _updated(self, lines: Sequence[str]) -> list[str]:
        """Return the lines of the entry with our values; what a user has added stays."""
        updated = list(lines)
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        for line in self.lines:
            key = f"{indent}{line.partition(':')[0]}:"
            at = next((n for n, each in enumerate(updated) if each.startswith(key)), len(updated))
            updated[at : at + 1] = [f"{indent}{line}\n"]
        return updated

    def _block(self, indent: int) -> list[str]:
        outer = " " * indent
        return [f"{outer}{self.name}:\n", *(f"{outer}  {line}\n" for line in self.lines)]
