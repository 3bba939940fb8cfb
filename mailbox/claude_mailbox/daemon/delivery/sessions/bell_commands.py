"""The commands that wake sessions whose clients watch no file.

A hook has put them beside the bells, in the home folder, which only our own user can enter.
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
# How long a command may take to start a turn, before it is run again.
PATIENCE_SECONDS = 60.0
_SECONDS = 30.0


def is_beside(bell: str) -> bool:
    """Return whether a bell has a command."""
    return os.path.exists(bell + COMMAND_SUFFIX)


def run(bell: str, is_alive: Callable[[str], bool]) -> None:
    """Run the command of a bell and wait for its end, if there is one and its session is idle.

    A session whose process is gone is not woken: its client might start it in the background.
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
    """Remove what lies beside a bell."""
    for suffix in SUFFIXES:
        with contextlib.suppress(OSError):
            os.unlink(bell + suffix)
