"""``demo``: two peers and a real daemon, in a home folder that is gone afterwards."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client import codec, output


@click.command()
@options.as_json
def demo(as_json: bool) -> int:
    """See it work: a watcher wakes, a backlog drains, the daemon is killed, nothing is lost.

    It runs a real daemon on a free port in a temporary home folder, prints a timeline with the
    times that it measured, and leaves nothing behind. Your own daemon is not touched.

    \b
    Example:
      claude-mailbox demo
    """
    from claude_mailbox.cli.stage import Stage, play

    def tell(line: str) -> None:
        if not as_json:
            output.write(line + "\n")

    with Stage(tell) as stage:
        scenes = play(stage)
    if as_json:
        output.write(codec.encode({"ok": True, "scenes": scenes}) + "\n")
    return 0
