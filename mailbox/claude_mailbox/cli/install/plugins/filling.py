"""Fills our command into the text of a plugin."""

import json
from collections.abc import Sequence

from claude_mailbox.client.identity.bell_command import TEXT

# The first line of our plugins, by which `uninstall` knows them.
PLUGIN_MARK = "// claude-mailbox: mail between agent sessions."


def fill(plugin: str, program: Sequence[str], url: Sequence[str]) -> str:
    """Return the content of the plugin's file.

    Args:
        plugin: its text, with PROGRAM, OPTIONS and TEXT to be replaced.
        program: our command.
        url: the option with the daemon's address, if it needs one.
    """
    text = plugin.replace("PROGRAM", json.dumps(list(program)))
    return PLUGIN_MARK + text.replace("OPTIONS", json.dumps(list(url))).replace("TEXT", TEXT)
