"""Starts the daemon on Windows, and starts it again when it fails.

A scheduled task is repeated if it cannot be *started*, but not if its program fails later, and a
Run key never repeats anything. So both start this program. It runs the daemon without a console
window, appends its output to the log in the home folder, and starts it again when it fails, with
longer pauses each time.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from claude_mailbox import isolation, paths

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
# A failure after a run of this length counts as the first one.
_STABLE_SECONDS = 60.0
_LOG_LIMIT = 1024 * 1024
# On Windows a process that 'claude-mailbox stop' ends has the number of SIGTERM as exit status.
_STOPPED_ON_PURPOSE = frozenset({0, 15})


def module_arguments(home: str | None, flags: Sequence[str], module: str) -> list[str]:
    """Return arguments for Python that run *module*, the supervisor or the service host."""
    home_option = [] if home is None else ["--home", home]
    return ["-E", "-P", "-m", module, *home_option, *flags]


def daemon_command(arguments: Sequence[str], python: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of the daemon.

    Args:
        arguments: what comes after the module in `module_arguments`.
        python: path of the interpreter.
    """
    environment = isolation.kept_variables(os.environ)
    flags = list(arguments)
    if flags[:1] == ["--home"]:
        environment["CLAUDE_MAILBOX_HOME"] = flags[1]
        flags = flags[2:]
    return [python, *isolation.python_arguments(), "serve", *flags], environment


def start_daemon(
    command: Sequence[str], environment: Mapping[str, str], log: str
) -> "subprocess.Popen[bytes]":
    """Start the daemon without a window, and append its output to *log*."""
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


def supervise(
    run: Callable[[], int],
    log_line: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call *run* again and again, until the daemon was stopped on purpose.

    Args:
        run: runs the daemon and returns its exit status.
        log_line: writes a line to the log.
        sleep: waits for a number of seconds.
        clock: returns the time in seconds.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        began = clock()
        code = run()
        if code in _STOPPED_ON_PURPOSE:
            return
        if clock() - began >= _STABLE_SECONDS:
            pause = _FIRST_PAUSE_SECONDS
        log_line(f"The daemon exited with status {code}; starting it again in {pause:.0f} s.")
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def rotate_log(log: str) -> None:
    """Rename a log that is too long; one older log is kept."""
    try:
        if os.path.getsize(log) > _LOG_LIMIT:
            os.replace(log, f"{log}.old")
    except OSError:
        pass  # there is no log, or a program that reads it blocks the renaming


def main() -> None:
    """Run the daemon until it is stopped on purpose."""
    command, environment = daemon_command(sys.argv[1:], sys.executable)
    os.environ.update(environment)
    log = paths.log_path()

    def run() -> int:
        rotate_log(log)
        with start_daemon(command, environment, log) as process:
            return process.wait()

    def log_line(line: str) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    supervise(run, log_line)


if __name__ == "__main__":
    main()
