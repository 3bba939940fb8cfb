"""File systems that are small, full or read-only."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def fill(folder: Path) -> None:
    """Leave no space on the disk of that folder."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb") as ballast:
        while True:
            ballast.write(b"x" * 4096)
            ballast.flush()


@contextlib.contextmanager
def small_disk(folder: Path, size: int, *options: str) -> Iterator[None]:
    """Mount a disk of that size, in bytes, on a folder; skip the test where that is not allowed."""
    words = ",".join((f"size={size}", "mode=700", *options))
    mount = ["mount", "-t", "tmpfs", "-o", words, "claude-mailbox-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder that cannot be written, even for root."""
    if os.geteuid() == 0:
        with small_disk(folder, 100_000, "ro"):
            yield
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
