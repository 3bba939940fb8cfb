"""``demo``: the command."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.cli.tables import takes_colour
from claude_mailbox.client import codec
from claude_mailbox.client.terminal import output


@click.command()
@options.as_json
def demo(as_json: bool) -> int:
    """Watch two peers at work: a waiting one wakes, mail survives a kill of the daemon.

    The demo runs a real daemon on a free port in a temporary home folder, prints a timeline with
    measured times, and leaves nothing behind. Your own daemon is not touched.

    \b
    Example:
      claude-mailbox demo
    """
    from claude_mailbox.cli.demo.sandbox import Sandbox
    from claude_mailbox.cli.demo.scenes import run_scenes

    has_colour = takes_colour()

    def print_line(moment: str, text: str) -> None:
        if as_json:
            return
        if has_colour:
            moment = click.style(moment, dim=True)
            # What a command has printed is indented.
            text = click.style(text, fg="green" if text.startswith(" ") else None)
        output.write(f"{moment}  {text}\n")

    with Sandbox() as sandbox:
        scenes = run_scenes(sandbox, print_line)
    if as_json:
        output.write(codec.encode({"ok": True, "scenes": scenes}) + "\n")
    return 0
