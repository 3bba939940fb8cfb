"""``completion``: the script that click has for each shell."""

import rich_click as click
from click.shell_completion import get_completion_class

from claude_mailbox.client.terminal import output


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes commands, options and mailbox names in your shell.

    \b
    Examples:
      claude-mailbox completion bash >> ~/.bashrc
      claude-mailbox completion zsh >> ~/.zshrc
      claude-mailbox completion fish >> ~/.config/fish/config.fish
    """
    from claude_mailbox.cli.app import PROGRAM, cli

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click has all three
    variable = "_" + PROGRAM.replace("-", "_").upper() + "_COMPLETE"
    # `source()` would start a bash to look at its version.
    script = kind(cli, {}, PROGRAM, variable)
    output.write(script.source_template % script.source_vars())
    return 0
