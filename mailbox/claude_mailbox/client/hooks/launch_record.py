"""The launch record, a file from which the plugin's launcher starts us fast.

It has two lines, the Python interpreter and the folder that has the package. With them the
launcher need not search for the command, and Python can start without ``site``.
"""

import os
import sys

from claude_mailbox import isolation, paths


def write_launch_record() -> None:
    """Record how we were started. Failing does not matter: the launcher searches then."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(paths.__file__)))
    if isolation.is_found_by_variable():
        return  # the launcher ignores PYTHONPATH, and a daemon that it starts would not find us
    content = os.fsencode(f"{sys.executable}\n{root}\n")
    path = paths.launch_record_path()
    try:
        if _read(path) == content:
            return
        temporary = f"{path}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        pass


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
