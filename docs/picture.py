"""Make the picture at the top of the README: a script and a Claude Code session at work.

    python docs/picture.py [FILE]

It runs a daemon in a throw-away home and the real commands against it, and draws what they print.
Only the lines that begin with ``#`` are added here.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from xml.sax.saxutils import escape

FILE = os.path.join(os.path.dirname(__file__), "picture.svg")
PATIENCE_SECONDS = 20.0

SESSION = "3f2a91bc-5d04-4e1b-9a77-0c8e5f21d6aa"
MAILBOX = "shop-3f2a91bc"
REQUEST = "The cart API has prices in cents now. Please adapt the checkout page."
REPLY = "Done, and all 14 tests pass."

COLUMNS = 54
FONT = 14
LINE = 20
PADDING = 18
BAR = 36
GAP = 16
# 0.602 em is the widest character of the usual monospaced fonts.
PANE = round(COLUMNS * FONT * 0.602) + 2 * PADDING

STYLE = f"""
text {{ font: {FONT}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #9da7b3; white-space: pre; }}
.prompt {{ fill: #3fb950; font-weight: bold; }}
.command {{ fill: #f0f6fc; }}
.comment {{ fill: #d29922; }}
.mail {{ fill: #79c0ff; }}
.title {{ font: 13px system-ui, "Segoe UI", sans-serif; fill: #8b949e; text-anchor: middle; }}
.name {{ fill: #f0f6fc; font-weight: bold; }}
"""


class Home:
    """A throw-away home folder, and commands of ours that run in it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._environment = {
            # Without what a Claude Code session around us would tell the hooks.
            **{key: value for key, value in os.environ.items() if not key.startswith("CLAUDE")},
            "CLAUDE_MAILBOX_HOME": folder,
        }

    def run(self, *arguments: str, event: object = None, code: int = 0) -> str:
        """Run a command to its end, with a hook's *event* as input, and return its output."""
        done = subprocess.run(
            _program(arguments),
            env=self._environment,
            input=json.dumps(event),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode != code:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[Callable[[], str]]:
        """Run a command beside the ``with`` block, which gets a function that reads its next line."""
        with subprocess.Popen(
            _program(arguments), env=self._environment, stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            output = process.stdout
            try:
                yield lambda: output.readline() if output is not None else ""
            finally:
                process.terminate()


class Pane:
    """One terminal: rows of pieces, each piece a class of ``STYLE`` and a text."""

    def __init__(self, name: str, what: str) -> None:
        self._name = name
        self._what = what
        self.rows: list[list[tuple[str, str]]] = []

    def go_below(self, cause: "Pane") -> None:
        """Leave rows empty, so that what comes next stands below its cause in the other pane."""
        self.rows += [[] for _ in range(len(cause.rows) - len(self.rows))]

    def comment(self, text: str) -> None:
        """Add a remark."""
        self._add("comment", f"# {text}", indent="# ")

    def command(self, arguments: tuple[str, ...]) -> None:
        """Add a command, as it is typed."""
        words = (f'"{word}"' if " " in word else word for word in arguments)
        line = " ".join(["claude-mailbox", *words])
        # A no-break space keeps an option and its value on one row.
        line = re.sub(r"(--[a-z]+) ", "\\1\N{NO-BREAK SPACE}", line)
        first, *more = _wrap(line, COLUMNS - 2, indent="  ")
        self.rows.append([("prompt", "$ "), ("command", first)])
        self.rows += [[("command", f"  {row}")] for row in more]

    def output(self, text: str) -> None:
        """Add what a command printed."""
        for line in text.splitlines():
            is_mail = line.startswith(("[Claude-Mailbox] Mail", "From ", "  "))
            self._add("mail" if is_mail else "output", line, indent="  " if is_mail else "")

    def _add(self, style: str, line: str, *, indent: str) -> None:
        self.rows += [[(style, row)] for row in _wrap(line, COLUMNS, indent=indent)]

    def draw(self, x: int, height: int) -> Iterator[str]:
        """Yield the elements of the pane with its left edge at *x*."""
        yield (
            f'<rect x="{x + 0.5}" y="0.5" width="{PANE - 1}" height="{height - 1}" rx="10"'
            ' fill="#0d1117" stroke="#3d444d"/>'
            f'<path d="M{x + 1} {BAR}.5h{PANE - 2}" stroke="#272d35"/>'
        )
        for number, color in enumerate(("#ff5f57", "#febc2e", "#28c840")):
            yield f'<circle cx="{x + 20 + 18 * number}" cy="{BAR / 2}" r="5.5" fill="{color}"/>'
        yield (
            f'<text class="title" x="{x + PANE / 2}" y="{BAR / 2 + 4.5}">'
            f'<tspan class="name">{escape(self._name)}</tspan> {escape(self._what)}</text>'
        )
        for number, row in enumerate(self.rows):
            y = BAR + PADDING + LINE * number + FONT - 2
            pieces = (f'<tspan class="{style}">{escape(text)}</tspan>' for style, text in row)
            if row:
                yield f'<text x="{x + PADDING}" y="{y}" xml:space="preserve">{"".join(pieces)}</text>'


def play(home: Home) -> tuple[Pane, Pane]:
    """Have a script and a session write to each other; return what the two terminals show."""
    left = Pane("backend", "· any terminal, script or agent")
    right = Pane(MAILBOX, "· a Claude Code session")

    event = {"session_id": SESSION, "cwd": os.path.join(home.folder, "shop")}
    started = home.run("session-announce", event={**event, "hook_event_name": "SessionStart"})
    told = json.loads(started)["hookSpecificOutput"]
    (bell,) = told["watchPaths"]
    silent = _read(bell)
    right.comment("the session starts, and its hook tells it:")
    right.output(". ".join(told["additionalContext"].split(". ")[:2]) + ". ...")

    send = ("send", "--from", "backend", "--to", MAILBOX, "--body", REQUEST)
    left.command(send)
    left.output(home.run(*send))

    _wait_for("the session's doorbell", lambda: _read(bell) not in ("", silent))
    rang_at = int(_read(bell)) / 1e9
    check = ("check", "--hook", "--wake")
    rung = {**event, "hook_event_name": "FileChanged", "file_path": bell}
    shown = home.run(*check, event=rung, code=2)
    right.rows.append([])
    milliseconds = 1000 * (rang_at - _sent_at(shown))
    right.comment(f"idle; {milliseconds:.0f} ms after the send its doorbell rings:")
    right.command(check)
    right.output(shown)

    follow = ("watch", "--follow", "--name", "backend")
    left.rows.append([])
    left.command(follow)
    with home.running(*follow) as next_line:
        _wait_for("the watch", lambda: '"watching":true' in home.run("list", "--json"))
        reply = ("send", "--from", MAILBOX, "--to", "backend", "--body", REPLY)
        right.rows.append([])
        right.comment("it does the work, and answers:")
        left.go_below(right)
        right.command(reply)
        right.output(home.run(*reply))
        left.output(next_line())
    return left, right


def draw(left: Pane, right: Pane) -> str:
    """Return the two terminals side by side as an SVG, which needs nothing from elsewhere."""
    height = BAR + 2 * PADDING + LINE * max(len(left.rows), len(right.rows)) - 4
    width = 2 * PANE + GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>Mail wakes an idle Claude Code session, which answers by mail</title>",
            f"<style>{STYLE}</style>",
            *left.draw(0, height),
            *right.draw(PANE + GAP, height),
            "</svg>\n",
        ]
    )


def _program(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-m", "claude_mailbox", *arguments]


def _wrap(line: str, width: int, *, indent: str) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _sent_at(shown: str) -> float:
    """Return the time in a line such as ``From "backend", 2026-01-31T12:00:00.000Z, id 1:``."""
    line = next(line for line in shown.splitlines() if line.startswith("From "))
    return datetime.fromisoformat(line.split(", ")[1]).timestamp()


def _wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {PATIENCE_SECONDS:.0f} seconds in vain for {what}.")
        time.sleep(0.005)


def main() -> None:
    """Play, draw, write."""
    with tempfile.TemporaryDirectory(prefix="mailbox-picture-") as folder:
        # Any free port, for every daemon of this home: the usual one may be in use.
        with open(os.path.join(folder, "mailbox.json"), "w", encoding="utf-8") as file:
            json.dump({"port": 0}, file)
        home = Home(folder)
        with home.running("serve") as next_line:
            if not next_line():
                raise SystemExit("The daemon did not start: the line above says why.")
            picture = draw(*play(home))
    with open(sys.argv[1] if len(sys.argv) > 1 else FILE, "w", encoding="utf-8") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
