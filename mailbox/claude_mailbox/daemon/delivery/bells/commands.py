"""Commands that wake sessions whose clients cannot watch a file.

A hook writes such a command beside the bell file, in the home folder, which only our user can enter.
"""

import contextlib
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

COMMAND_SUFFIX = ".command"
BUSY_SUFFIX = ".busy"
RUNG_SUFFIX = ".rung"
SUFFIXES = (COMMAND_SUFFIX, BUSY_SUFFIX, RUNG_SUFFIX)
# A command is not run again within this time: it may still be starting a turn.
PATIENCE_SECONDS = 60.0
_SECONDS = 30.0


def is_beside(bell: str) -> bool:
    """Return whether a bell has a command."""
    return os.path.exists(bell + COMMAND_SUFFIX)


def run(bell: str, is_alive: Callable[[str], bool]) -> None:
    """Run the command of a bell and wait for its end, if it has one and its session is idle.

    If the session's process is gone it does nothing: the client might start a new one.
    """
    try:
        with open(bell + COMMAND_SUFFIX, encoding="utf-8") as file:
            content = json.load(file)
        command, environment = list(content["command"]), dict(content["environment"])
        process = content["process"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.error("cannot read %s%s: %s", bell, COMMAND_SUFFIX, error)
        return
    if os.path.exists(bell + BUSY_SUFFIX) or not (process and is_alive(process)):
        return
    if _was_rung(bell + RUNG_SUFFIX):
        return
    try:
        subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.error("the command that wakes a session failed: %s", error)


def _was_rung(path: str) -> bool:
    """Return whether the command ran a moment ago; if not, note that it does now."""
    with contextlib.suppress(OSError):
        if 0 <= time.time() - os.stat(path).st_mtime < PATIENCE_SECONDS:
            return True
    with contextlib.suppress(OSError), open(path, "wb"):
        os.utime(path)
    return False


def remove(bell: str) -> None:
    """Remove the command of a bell."""
    for suffix in SUFFIXES:
        with contextlib.suppress(OSError):
            os.unlink(bell + suffix)
