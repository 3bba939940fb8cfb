"""A daemon that is there, but does not answer."""

import json
import os
import signal
import sys
import time

import pytest

from support.commandline import CommandLine
from support.daemon import PATIENCE_SECONDS, DaemonProcess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal")


def test_a_prompt_waits_half_a_second_and_says_so_once_a_minute(daemon: DaemonProcess) -> None:
    """The line is honest: the daemon runs."""
    hook = json.dumps({"hook_event_name": "UserPromptSubmit"})
    with CommandLine(daemon) as commandline:
        check = ("check", "--hook", "--name", "a")
        began = time.monotonic()
        commandline.run(*check, text=hook)
        usual = time.monotonic() - began
        daemon.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            done = commandline.run(*check, text=hook)
            assert time.monotonic() - began < 3 * usual + 2
            assert f"daemon (pid {daemon.pid}) does not answer" in done.stdout
            assert done.stdout.count("\n") == 1
            assert commandline.run(*check, text=hook).stdout == ""
            told = daemon.home / "unanswered"
            os.utime(told, (0, time.time() - 61))
            assert "does not answer" in commandline.run(*check, text=hook).stdout
        finally:
            daemon.send_signal(signal.SIGCONT)
        commandline.send("a", "hello")
        assert "hello" in commandline.run(*check, text=hook).stdout


def test_start_and_doctor_tell_stuck_from_absent(daemon: DaemonProcess) -> None:
    """Each names the process, and what helps."""
    with CommandLine(daemon, {"XDG_CONFIG_HOME": str(daemon.home)}) as commandline:
        daemon.send_signal(signal.SIGSTOP)
        starting = commandline.spawn("start")
        finding = json.loads(commandline.run("doctor", "--json").stdout)["checks"]
        _, error = starting.communicate(timeout=PATIENCE_SECONDS)
        assert starting.returncode == 2
        assert f"(pid {daemon.pid}) runs, but does not answer" in error
        (detail,) = [each["detail"] for each in finding if each["check"] == "Daemon"]
        assert f"it runs (pid {daemon.pid}) but does not answer" in detail
        assert commandline.run("stop").stdout == f"Stopped (pid {daemon.pid}).\n"
        assert daemon.wait() == 0
