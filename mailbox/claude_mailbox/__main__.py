"""Entry point: the verbs that must be fast go straight to work, the rest to the full command line.

A hook runs before each prompt, so what is imported here is counted in milliseconds.
"""

import os
import sys

from claude_mailbox.cli import fast


def main() -> None:
    """Run the command line and end the process with its exit code."""
    found = fast.find(sys.argv[1:])
    if found is None:
        from claude_mailbox.cli.app import main as full

        sys.exit(full())
    function, keywords = found
    from claude_mailbox.cli.outcome import outcome

    leave(outcome(function, keywords))


def leave(code: int) -> None:
    """End the process without tidying up the interpreter, which takes it longer than the work."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  # contextlib costs 4 ms
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code)


if __name__ == "__main__":
    main()
