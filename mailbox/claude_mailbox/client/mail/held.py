"""The commands about messages that are held for the user."""

from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.terminal import output
from claude_mailbox.model.text import visible


def held(daemon: Daemon) -> "list[dict[str, object]]":
    """Return the messages that are held, oldest first."""
    rows = daemon.call("GET", "/v1/held", is_repeatable=True).value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise daemon.wrong_server()
    return rows


def list_held(*, url: str | None = None, as_json: bool = False) -> int:
    """Print the messages that are held, without their texts."""
    rows = held(Daemon(url))
    if as_json:
        output.write(codec.encode(rows) + "\n")
    elif rows:
        output.write("".join(_line(row) for row in rows))
    elif output.is_terminal():
        output.write("No messages are held.\n")
    return 0


def _line(row: "dict[str, object]") -> str:
    sender, to = visible(str(row.get("from"))), visible(str(row.get("to")))
    return f"{row.get('id')} from '{sender}' to '{to}', sent at {row.get('sentAt')}\n"


def release(*, name: str | None = None, url: str | None = None, as_json: bool = False) -> int:
    """Release held messages, all or those from and to a mailbox, and print how many."""
    released = release_held(Daemon(url), name)
    count = len(released)
    sentence = "1 message was released.\n" if count == 1 else f"{count} messages were released.\n"
    output.write(codec.encode({"released": released}) + "\n" if as_json else sentence)
    return 0


def release_held(daemon: Daemon, name: str | None = None) -> "list[object]":
    """Release held messages; return their numbers."""
    body = {} if name is None else {"name": name}
    value = daemon.call("POST", "/v1/held/release", body=body, is_repeatable=True).value
    released = value.get("released") if isinstance(value, dict) else None
    if not isinstance(released, list):
        raise daemon.wrong_server()
    return released


def between(rows: "list[dict[str, object]]") -> str:
    """Return how many messages are held, and between whom."""
    pairs = sorted({tuple(sorted((str(row.get("from")), str(row.get("to"))))) for row in rows})
    names = "; ".join(visible(f"'{one}' and '{other}'") for one, other in pairs[:3])
    more = f", and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    noun = "1 message" if len(rows) == 1 else f"{len(rows)} messages"
    return f"{noun} between {names}{more}"


def summary(rows: "list[dict[str, object]]") -> str:
    """Return a sentence with the sessions whose messages are held, and what to do about it."""
    return (
        f"{between(rows)}: they write to each other without a prompt by you. Enter a prompt in"
        " either session, or run 'claude-mailbox held release'"
    )
