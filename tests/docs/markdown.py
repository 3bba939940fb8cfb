"""Enough of Markdown to read a README: headings, tables, code and links."""

import re
from dataclasses import dataclass

_CODE = re.compile(r"`([^`]+)`")


def code_of(cell: str) -> list[str]:
    """Return the pieces of code in a cell."""
    return _CODE.findall(cell)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the names of its columns, and its rows as dicts by those names."""

    columns: list[str]
    rows: list[dict[str, str]]

    def codes(self, column: str) -> list[str]:
        """Return the first piece of code in each row's cell of *column*."""
        return [code_of(row[column])[0] for row in self.rows]


def tables(text: str) -> list[Table]:
    """Return all tables of a document."""
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"\|[ :|-]+\|", line) and number:
            columns = _cells(lines[number - 1])
            rows = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                cells = _cells(row)
                assert len(cells) == len(columns), f"a ragged row: {row}"
                rows.append(dict(zip(columns, cells, strict=True)))
            found.append(Table(columns, rows))
    return found


def table(text: str, *columns: str) -> Table:
    """Return the one table that begins with these columns."""
    matching = [each for each in tables(text) if each.columns[: len(columns)] == list(columns)]
    assert len(matching) == 1, f"{len(matching)} tables begin with {columns}"
    return matching[0]


def _cells(line: str) -> list[str]:
    # A bar within code is no border.
    pieces = re.findall(r"(?:`[^`]*`|[^|`])+|\|", line.strip().strip("|"))
    cells, is_open = [], False
    for piece in pieces:
        if piece == "|":
            if not is_open:
                cells.append("")
            is_open = False
        else:
            cells.append(piece.strip())
            is_open = True
    if not is_open:
        cells.append("")
    return cells


def anchors(text: str) -> set[str]:
    """Return the anchors that a renderer makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", _without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Return the targets of all links."""
    return re.findall(r"\]\(([^)\s]+)\)", _without_fences(text))


def _without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
