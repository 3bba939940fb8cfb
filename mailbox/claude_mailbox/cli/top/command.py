"""``top``: a live view in the terminal; plain lines elsewhere."""

import rich_click as click
from rich.console import Console
from rich.live import Live

from claude_mailbox.cli import options
from claude_mailbox.cli.top.feed import Feed
from claude_mailbox.cli.top.keys import Keys
from claude_mailbox.cli.top.view import View, message_text
from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.terminal import output

_SECONDS = 1.0
# How many earlier messages are printed at the start, where there is no screen.
_BEFORE = 20


@click.command()
@options.url
@options.as_json
def top(url: str | None, as_json: bool) -> int:
    """Show live who is there, in which state, and what goes by. Takes no mail.

    Keys: q ends it, s chooses a state, / filters by a text, l releases held messages. Without a
    terminal, and with --json, it prints a line for each message.

    \b
    Examples:
      claude-mailbox top
      claude-mailbox top | grep backend
    """
    feed = Feed(Daemon(url))
    feed.read()
    console = Console()
    try:
        if as_json or not output.is_terminal():
            _print_lines(feed, as_json=as_json)
        else:
            _show(feed, console)
    except KeyboardInterrupt:
        return 0
    return 0


def _print_lines(feed: Feed, *, as_json: bool) -> None:
    messages = list(feed.messages)[-_BEFORE:]
    while True:
        for message in messages:
            output.write((codec.encode(message) if as_json else message_text(message).plain) + "\n")
        output.wait_while_read(_SECONDS)
        messages = feed.read()


def _show(feed: Feed, console: Console) -> None:
    view = View()
    with Keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        goes_on = True
        while goes_on:
            screen = view.render(
                feed.mailboxes,
                feed.messages,
                console.size.height,
                held=feed.held,
                is_connected=feed.is_connected,
            )
            live.update(screen, refresh=True)
            goes_on = view.press(keys.read(_SECONDS), has_held=bool(feed.held))
            if view.take_decision():
                feed.release_held()
            feed.read()
