"""The note from which the plugin's launcher starts us fast, without a search and without ``site``.

It has two lines: the Python interpreter, and the folder that has the package.
"""

import os
import sys

from claude_mailbox import paths


def record() -> None:
    """Write down how we were started, unless it says so already; failing that is no matter."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(paths.__file__)))
    found_by_variable = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root in map(os.path.abspath, filter(None, found_by_variable)):
        return  # the launcher starts without it, and what we start in turn would not find us
    note = os.fsencode(f"{sys.executable}\n{root}\n")
    path = paths.command_path()
    try:
        if _read(path) == note:
            return
        temporary = f"{path}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(note)
        os.replace(temporary, path)
    except OSError:
        pass


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
