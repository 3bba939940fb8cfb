"""The commands about groups, and the descriptions of mailboxes."""

from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Daemon, Identity
from claude_mailbox.client.terminal import output
from claude_mailbox.model.text import visible


def groups(*, url: str | None = None, as_json: bool = False) -> int:
    """Print the groups and who belongs to them."""
    daemon = Daemon(url)
    rows = daemon.call("GET", "/v1/groups", is_repeatable=True).value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise daemon.wrong_server()
    if as_json:
        output.write(codec.encode(rows) + "\n")
    elif rows:
        output.write("".join(_line(row) for row in rows))
    elif output.is_terminal():
        output.write("No groups yet: 'claude-mailbox join' makes one.\n")
    return 0


def join(*, name: str, group: str, url: str | None = None, as_json: bool = False) -> int:
    """Join a group."""
    return _change("/v1/groups/join", name, group, url, as_json=as_json)


def leave(*, name: str, group: str, url: str | None = None, as_json: bool = False) -> int:
    """Leave a group."""
    return _change("/v1/groups/leave", name, group, url, as_json=as_json)


def _change(path: str, name: str, group: str, url: str | None, *, as_json: bool) -> int:
    daemon = Daemon(url)
    body = {"group": group}
    row = daemon.call("POST", path, identity=Identity(name), body=body, is_repeatable=True).value
    if not isinstance(row, dict) or "members" not in row:
        raise daemon.wrong_server()
    output.write(codec.encode(row) + "\n" if as_json else _line(row))
    return 0


def _line(row: "dict[str, object]") -> str:
    members = row.get("members")
    names = ", ".join(visible(str(each)) for each in members) if isinstance(members, list) else ""
    return f"{visible(str(row.get('name')))}: {names or 'nobody'}\n"


def describe(*, name: str, text: str, url: str | None = None, as_json: bool = False) -> int:
    """Set the description of a mailbox; an empty text removes it."""
    daemon = Daemon(url)
    row = daemon.call(
        "POST", "/v1/describe", identity=Identity(name), body={"text": text}, is_repeatable=True
    ).value
    if not isinstance(row, dict) or "name" not in row:
        raise daemon.wrong_server()
    if as_json:
        output.write(codec.encode(row) + "\n")
    else:
        said = row.get("description")
        shown = "says nothing of itself" if said is None else f"is described: {visible(str(said))}"
        output.write(f"'{visible(str(row['name']))}' {shown}.\n")
    return 0
