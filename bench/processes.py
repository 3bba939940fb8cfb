"""Whole processes, timed from outside: from just before the spawn until they have exited."""

import os
import time
from collections.abc import Mapping, Sequence

from bench.errors import BenchError


def spawn(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: str = os.devnull,
    stdout: int | None = None,
    stderr: int | None = None,
) -> int:
    """Start a process and return its pid.

    ``posix_spawn``, because the detour of the subprocess module would count as the program's.

    Args:
        argv: the command, with the path of the program.
        environment: all of it.
        stdin: file to read from.
        stdout: descriptor to write to; without it the output is thrown away.
        stderr: descriptor to write to; without it errors are shown.
    """
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
        if stdout is None
        else (os.POSIX_SPAWN_DUP2, stdout, 1),
    ]
    if stderr is not None:
        actions.append((os.POSIX_SPAWN_DUP2, stderr, 2))
    return os.posix_spawn(argv[0], list(argv), environment, file_actions=actions)


def wait(pid: int, argv: Sequence[str], expected: int = 0) -> None:
    """Wait for the exit of *pid*.

    Raises:
        BenchError: if its exit code is not *expected*.
    """
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != expected:
        raise BenchError(f"Exit code {code} where {expected} is due: {' '.join(argv)}")


def whole(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: str = os.devnull,
    expected: int = 0,
) -> float:
    """Run a process and return how long that took, in ms."""
    begin = time.perf_counter()
    wait(spawn(argv, environment, stdin=stdin), argv, expected)
    return (time.perf_counter() - begin) * 1000
