"""How ``top`` looks: a table of mailboxes, and below it a running log."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from claude_mailbox.client import times
from claude_mailbox.client.mail.held import between
from claude_mailbox.model.text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

STATES = ("", "working", "idle", "waiting", "ended")
_STYLES = {"working": "green", "idle": "cyan", "waiting": "bold yellow", "ended": "dim"}
_KEYS = "q quit   s state   / filter"
# Lines that are no message and no mailbox: heading of the table, captions, what is held, the last.
_FRAME_LINES = 6


class View:
    """What is shown, and which part of it.

    Attributes:
        state: only sessions in this state; all if empty.
        words: only mailboxes and messages that have this text.
        is_typing: whether keys go to the words.
        is_asking: whether the next key decides if held messages are released.
    """

    def __init__(self) -> None:
        self.state = ""
        self.words = ""
        self.is_typing = False
        self.is_asking = False
        self._releases = False

    def take_decision(self) -> bool:
        """Return, once, whether the person decided to release the held messages."""
        decided, self._releases = self._releases, False
        return decided

    def press(self, keys: str, *, has_held: bool = False) -> bool:
        """Take keys; return whether to go on."""
        for key in keys:
            if self.is_asking:
                self.is_asking = False
                self._releases = key == "y"
            elif self.is_typing:
                if key in "\r\n\x1b":
                    self.is_typing = False
                elif key in "\x7f\b":
                    self.words = self.words[:-1]
                elif key.isprintable():
                    self.words += key
            elif key == "q":
                return False
            elif key == "s":
                self.state = STATES[(STATES.index(self.state) + 1) % len(STATES)]
            elif key == "/":
                self.words, self.is_typing = "", True
            elif key == "l":
                self.is_asking = has_held
        return True

    def _wanted(self, *texts: object) -> bool:
        return self.words.casefold() in " ".join(map(str, texts)).casefold()

    def mailboxes(self, rows: "Iterable[dict[str, Any]]") -> "list[dict[str, Any]]":
        """Return the rows that are wanted."""
        return [
            row
            for row in rows
            if (not self.state or row["state"] == self.state)
            and self._wanted(row["name"], row.get("project", ""))
        ]

    def render(
        self,
        mailboxes: "Iterable[dict[str, Any]]",
        messages: "Iterable[dict[str, Any]]",
        height: int,
        *,
        held: "list[dict[str, Any]]",
        is_connected: bool,
    ) -> Group:
        """Return all of the screen, for a terminal of so many lines."""
        rows = self.mailboxes(mailboxes)
        room = max(2, height - _FRAME_LINES)
        shown = rows[: max(1, room // 2)]
        table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
        for title, justify in (("Mailbox", "left"), ("State", "left"), ("Seen", "left")):
            table.add_column(title, justify="left" if justify == "left" else "right", no_wrap=True)
        table.add_column("Waiting", justify="right", no_wrap=True)
        for row in shown:
            state = str(row["state"])
            table.add_row(
                Text(visible(str(row["name"]))),
                Text(_state_words(row), style=_STYLES.get(state, "")),
                times.ago(row["lastSeenAt"]) if row.get("lastSeenAt") else "never",
                Text(str(row["pending"] or "-"), style="bold" if row["pending"] else "dim"),
            )
        hidden = len(rows) - len(shown)
        log = [m for m in messages if self._wanted(m["from"], m["to"], m["body"])]
        lines = [message_text(message) for message in log[-(room - len(shown)) :]]
        return Group(
            table,
            Text(f"and {hidden} more" if hidden > 0 else "", style="dim"),
            *lines,
            Text(_held_words(held), style="bold yellow", no_wrap=True, overflow="ellipsis"),
            Text(self._status(held, is_connected=is_connected), style="reverse"),
        )

    def _status(self, held: "list[dict[str, Any]]", *, is_connected: bool) -> str:
        """Return the last line: what keys do, and what is shown."""
        if self.is_asking:
            return f"Release {between(held)}? y: yes   any other key: no"
        if self.is_typing:
            return f"/{self.words}_"
        status = _KEYS + ("   l release held messages" if held else "")
        if self.state:
            status += f"   only {self.state}"
        if self.words:
            status += f"   only '{visible(self.words)}'"
        return status if is_connected else status + "   the daemon does not answer; trying again"


def _held_words(held: "list[dict[str, Any]]") -> str:
    if not held:
        return ""
    return f"Held: {between(held)}: they write to each other without a prompt by you"


def _state_words(row: "dict[str, Any]") -> str:
    state = str(row["state"])
    if state == "unknown":
        return "listens" if row.get("watching") else "-"
    return "waits for you" if state == "waiting" else state


def message_text(message: "dict[str, Any]") -> Text:
    """Return a message on one line."""
    body = visible(str(message["body"]).replace("\n", " "))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(times.clock(message["sentAt"]) + " ", style="dim")
    text.append(visible(str(message["from"])), style="bold")
    text.append(" → ", style="dim")
    text.append(visible(str(message["to"])), style="bold")
    text.append(f"  {body}")
    return text
