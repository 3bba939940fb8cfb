"""``serve``: the one command that runs the daemon, in its own process.

It does without click, because a hook that finds no daemon waits until this one has started.
"""

import contextlib
import gc
import os
from collections.abc import Mapping, Sequence

from claude_mailbox import __version__, config, isolation
from claude_mailbox.client import codec
from claude_mailbox.client.hooks.launch_record import write_launch_record
from claude_mailbox.client.terminal import output
from claude_mailbox.errors import OutputLost


def by_config_key(flags: Mapping[str, object]) -> dict[str, object]:
    """Return flags such as ``db_path`` under their keys in ``mailbox.json``, as ``dbPath``."""
    return {config.camel_case(name): value for name, value in flags.items()}


def serve(*, config_path: str | None = None, as_json: bool = False, **flags: object) -> int:
    """Run the daemon until a signal ends it. Flags override the configuration at *config_path*.

    When the daemon answers it prints one line, as JSON with *as_json*.

    Raises:
        ConfigError: if the configuration or a flag is wrong.
        StartupError: if the daemon cannot start.
    """
    settings = config.load(by_config_key(flags), config_path)
    has_record = not isolation.is_found_by_variable()
    # Whatever started us: a daemon for everybody has no variables of one project.
    kept = isolation.kept_variables(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    # Nothing that is imported now becomes garbage; the daemon switches it on again when it answers.
    gc.disable()
    from claude_mailbox.daemon import main

    def print_ready(addresses: Sequence[str], database: str) -> None:
        if has_record:
            write_launch_record()
        ready = {
            "version": __version__,
            "pid": os.getpid(),
            "addresses": list(addresses),
            "dbPath": database,
        }
        line = (
            codec.encode(ready)
            if as_json
            else f"claude-mailbox {__version__} listens on {' and '.join(addresses)},"
            f" database {database}"
        )
        # The daemon also serves if nobody reads its output.
        with contextlib.suppress(OutputLost):
            output.write(line + "\n")

    return main.run(settings, print_ready)
