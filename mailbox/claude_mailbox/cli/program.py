"""The command that runs us, as hooks write it."""

import shlex
import shutil
import sys

PROGRAM = "claude-mailbox"


def hook_program(*, is_shared: bool = False) -> str:
    """Return the command for a shell.

    Args:
        is_shared: whether the settings are shared with machines that may not have the command.
    """
    if is_shared:
        return f"! command -v {PROGRAM} >/dev/null || {PROGRAM}"
    found = shutil.which(PROGRAM)
    if found is not None:
        return _quoted(found)
    return f"{_quoted(sys.executable)} -E -P -m claude_mailbox"


def _quoted(path: str) -> str:
    return f'"{path}"' if sys.platform == "win32" else shlex.quote(path)
