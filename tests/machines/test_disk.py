"""A disk that is full, and one that can only be read: what people are told to do."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.commandline import CommandLine
from support.daemon import DaemonProcess
from support.small_disk import fill, small_disk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts file systems")


@pytest.fixture
def on_small_disk() -> Iterator[CommandLine]:
    """The command line with a home folder on a disk of 4 MB, and a daemon that does not run yet."""
    process = DaemonProcess()
    try:
        with small_disk(process.home, 4_000_000), CommandLine(process) as commandline:
            yield commandline
            if process.is_running:
                process.kill()
    finally:
        process.close()


def findings(commandline: CommandLine) -> dict[str, dict[str, str]]:
    """Run doctor; return what it found, by the check."""
    document = json.loads(commandline.run("doctor", "--json").stdout)
    return {finding["check"]: finding for finding in document["checks"]}


def test_doctor_says_to_free_space_on_a_full_disk(on_small_disk: CommandLine) -> None:
    """Every remedy is to free space, not to start again."""
    on_small_disk.process.start()
    fill(on_small_disk.process.home)
    found = findings(on_small_disk)
    assert "has only 0 MB left on its disk" in found["Home"]["detail"]
    assert found["Home"]["remedy"].startswith("free some space")
    assert found["Database"]["remedy"].startswith("free some space")
    assert "disk is full: free some space" in found["Round trip"]["detail"]
    assert "restart" not in found["Round trip"]["remedy"]


def test_only_a_send_is_told_that_nothing_was_stored(on_small_disk: CommandLine) -> None:
    """Whoever reads wanted to store nothing; also when his mailbox would be new."""
    on_small_disk.process.start()
    on_small_disk.send("known", "x")
    fill(on_small_disk.process.home)
    for name in ("known", "new"):
        for command in (
            ("check", "--name", name),
            ("watch", "--name", name, "--timeout", "0"),
            ("list", "--name", name),
            ("log", "--name", name),
        ):
            done = on_small_disk.run(*command)
            assert "stored" not in done.stderr
            assert not done.stderr or "The disk is full: free some space." in done.stderr
    done = on_small_disk.run("send", "--from", "a", "--to", "b", "--body", "x")
    assert done.returncode == 1
    assert done.stderr == "Error: The disk is full: free some space. Nothing was stored.\n"


def test_a_read_only_file_system(on_small_disk: CommandLine) -> None:
    """Not the permissions are to be corrected, and a start is no remedy by itself."""
    process = on_small_disk.process
    process.start()
    process.stop()
    remount = ["mount", "-o", "remount,ro", str(process.home)]
    subprocess.run(remount, check=True, capture_output=True)
    found = findings(on_small_disk)
    assert "is on a file system that is read-only" in found["Home"]["detail"]
    assert found["Home"]["remedy"].startswith("mount it for writing")
    assert found["Database"]["remedy"].startswith("mount it for writing")
    assert found["Daemon"]["remedy"].startswith("see to the home folder first")
    done = on_small_disk.run("start")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
