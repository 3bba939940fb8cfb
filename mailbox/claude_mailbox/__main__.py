"""Entry point: commands that must start fast run at once, all others by the full command line.

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
    if sys.argv[1] == "statusline":
        # It raises nothing; what turns errors into sentences would cost it another 5 ms.
        leave(function(**keywords))
    from claude_mailbox.cli.exit_status import exit_status

    leave(exit_status(function, keywords, as_json=bool(keywords.get("as_json"))))


def leave(code: int) -> None:
    """End the process without the interpreter's clean-up, which takes longer than the command."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  # contextlib costs 4 ms
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code)


if __name__ == "__main__":
    main()
