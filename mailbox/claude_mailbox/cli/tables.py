"""Tables for a terminal, plain lines for everything else."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from claude_mailbox.client import times
from claude_mailbox.client.terminal import output
from claude_mailbox.model.text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def takes_colour() -> bool:
    """Return whether standard output is a terminal that shows colours, and its user wants them."""
    console = Console()
    return output.is_terminal() and console.color_system is not None and not console.no_color


def print_mailboxes(rows: "Sequence[Mapping[str, object]]", *, with_own: bool) -> None:
    """Print the list of mailboxes; *with_own* adds the messages that wait for the caller."""
    header = ["Mailbox", "Last seen", "Pending", "Watching", "State"]
    if with_own:
        header.insert(3, "For you")
    lines = [_mailbox(row, with_own=with_own) for row in rows]
    if any("description" in row for row in rows):
        header.append("Description")
        for row, line in zip(rows, lines, strict=True):
            line.append(visible(str(row.get("description", ""))))
    if not output.is_terminal():
        output.write("".join("\t".join(line) + "\n" for line in lines))
    elif not lines:
        output.write("No mailboxes yet: sending a message makes one.\n")
    else:
        table = Table(*header, box=box.SIMPLE_HEAD)
        for column in table.columns[2:]:
            column.justify = "left" if column.header == "Description" else "right"
        for line in lines:
            name, seen, *rest = line
            age = seen if seen == "never" else times.shown(seen)
            table.add_row(Text(name, style="bold"), age, *map(Text, rest))
        Console().print(table)


def _mailbox(row: "Mapping[str, object]", *, with_own: bool) -> list[str]:
    line = [
        visible(str(row.get("name"))),
        str(row.get("lastSeenAt") or "never"),
        str(row.get("pending")),
        "yes" if row.get("watching") else "no",
        "-" if row.get("state") == "unknown" else visible(str(row.get("state"))),
    ]
    if with_own:
        line.insert(3, str(row.get("pendingForYou")))
    return line


def print_fields(title: str, fields: "Mapping[str, str]") -> None:
    """Print a title and the fields below it."""
    if not output.is_terminal():
        width = max(map(len, fields), default=0)
        lines = [f"  {key:<{width}}  {visible(value)}\n" for key, value in fields.items()]
        output.write(f"{title}\n" + "".join(lines))
        return
    console = Console()
    console.print(Text(title, style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for key, value in fields.items():
        table.add_row(Text(f" {key}", style="dim"), Text(visible(value), overflow="fold"))
    console.print(table)
