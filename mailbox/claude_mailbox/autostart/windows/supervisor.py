"""Keeps the daemon running on Windows, where the Task Scheduler does not.

A scheduled task is tried again when it cannot be *started*, not when its program fails later, and
a Run key does neither. So both start this: it starts the daemon without a console window, writes
its output to the log in the home folder, and starts it again when it fails, waiting longer
each time.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from claude_mailbox import paths

# Waiting times in seconds, and the run after which a failure counts as the first one again.
_FIRST_PAUSE, _LONGEST_PAUSE, _GOOD_RUN = 1.0, 60.0, 60.0
_LOG_LIMIT = 1024 * 1024
# 'claude-mailbox stop' ends a process of Windows with the number of SIGTERM as its exit status.
_WANTED_ENDS = frozenset({0, 15})


def keeper_arguments(home: str | None, flags: Sequence[str], module: str) -> list[str]:
    """Return the interpreter's arguments that run *module*, the keeper or the service host."""
    place = [] if home is None else ["--home", home]
    return ["-P", "-m", module, *place, *flags]


def child(arguments: Sequence[str], python: str) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of the daemon for what `keeper_arguments` gave to us."""
    environment = dict(os.environ)
    flags = list(arguments)
    if flags[:1] == ["--home"]:
        environment["CLAUDE_MAILBOX_HOME"] = flags[1]
        flags = flags[2:]
    return [python, "-P", "-m", "claude_mailbox", "serve", *flags], environment


def launch(
    command: Sequence[str], environment: Mapping[str, str], log: str
) -> "subprocess.Popen[bytes]":
    """Start the daemon without a window, its output at the end of *log*."""
    os.makedirs(os.path.dirname(log), mode=0o700, exist_ok=True)
    with open(log, "ab") as file:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


def keep(
    run: Callable[[], int],
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call *run* again and again, until it returns the exit status of a wanted end.

    Args:
        run: runs the daemon and returns its exit status.
        say: writes a line to the log.
        pause: waits for a number of seconds.
        clock: tells the time in seconds.
    """
    wait = _FIRST_PAUSE
    while True:
        began = clock()
        code = run()
        if code in _WANTED_ENDS:
            return
        if clock() - began >= _GOOD_RUN:
            wait = _FIRST_PAUSE
        say(f"The daemon ended with exit status {code}; starting it again in {wait:.0f} s.")
        pause(wait)
        wait = min(2 * wait, _LONGEST_PAUSE)


def trim(log: str) -> None:
    """Move a log that has grown out of the way; the one before it goes."""
    try:
        if os.path.getsize(log) > _LOG_LIMIT:
            os.replace(log, f"{log}.old")
    except OSError:
        pass  # there is none, or somebody reads it: then it goes on growing for a while


def main() -> None:
    """Run until the daemon is stopped on purpose."""
    command, environment = child(sys.argv[1:], sys.executable)
    os.environ.update(environment)
    log = paths.log_path()

    def run() -> int:
        trim(log)
        with launch(command, environment, log) as process:
            return process.wait()

    def say(line: str) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    keep(run, say)


if __name__ == "__main__":
    main()
