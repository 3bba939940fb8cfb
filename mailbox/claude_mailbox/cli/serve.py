"""``serve``: the one command that runs the daemon in its own process.

Without click, because a hook that finds no daemon waits for this one to start.
"""

import contextlib
import gc
import os
from collections.abc import Mapping, Sequence

from claude_mailbox import __version__, config
from claude_mailbox.client import codec, output
from claude_mailbox.client.hooks import launcher
from claude_mailbox.errors import OutputLost


def by_key(flags: Mapping[str, object]) -> dict[str, object]:
    """Return flags such as ``db_path`` under their keys in the configuration, as ``dbPath``."""
    return {config.camel_case(name): value for name, value in flags.items()}


def serve(*, config_path: str | None = None, as_json: bool = False, **flags: object) -> int:
    """Run the daemon until a signal ends it; flags win over the configuration at *config_path*.

    When it answers it says so in one line on standard output, *as_json* if that is wanted.

    Raises:
        ConfigError: if the configuration or a flag is wrong.
        StartupError: if the daemon cannot start.
    """
    settings = config.load(by_key(flags), config_path)
    # Nothing of what is imported now is garbage; the daemon turns it on when it answers.
    gc.disable()
    from claude_mailbox.daemon import main

    def say_ready(addresses: Sequence[str]) -> None:
        launcher.record()
        ready = {
            "version": __version__,
            "pid": os.getpid(),
            "addresses": list(addresses),
            "dbPath": settings.db_path,
        }
        line = (
            codec.encode(ready)
            if as_json
            else f"claude-mailbox {__version__} listens on {' and '.join(addresses)},"
            f" database {settings.db_path}"
        )
        # Whoever started it may not listen; it serves all the same.
        with contextlib.suppress(OutputLost):
            output.write(line + "\n")

    return main.run(settings, say_ready)
