"""A disk that fails when it is told to, below a real daemon (see faulty_disk.c)."""

import errno
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_suffix(".c")
FOR_EVER = 10**9


@functools.cache
def _compiled() -> tuple[Path, "tempfile.TemporaryDirectory[str]"]:
    """Compile the library, once a process; return it with the folder that it lives in."""
    folder = tempfile.TemporaryDirectory(prefix="cmb-disk-")
    library = Path(folder.name) / "faulty_disk.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, _SOURCE], check=True
    )
    return library, folder


class FaultyDisk:
    """Tells the library what to do, in a folder of its own.

    Args:
        folder: an existing folder.
        records: whether to record what is done to the disk.

    Attributes:
        record: the file with the record.
        environment: variables for the daemon.
    """

    def __init__(self, folder: Path, *, records: bool = False) -> None:
        if sys.platform != "linux" or shutil.which("gcc") is None:
            pytest.skip("needs Linux and gcc")
        self._fault = folder / "fault"
        self.record = folder / "record"
        if records:
            self.record.touch()
        self.environment = {"LD_PRELOAD": str(_compiled()[0]), "FAULTY_DISK": str(folder)}

    def fail(
        self,
        operation: str,
        file: str,
        error: int = errno.EIO,
        *,
        after: int = 0,
        times: int = FOR_EVER,
    ) -> None:
        """Let an operation fail from now on.

        Args:
            operation: "sync", "write" or "short".
            file: end of the file's name, "-wal" or ".db".
            error: the error's number.
            after: how many such operations succeed before.
            times: how many fail then.
        """
        new = self._fault.with_suffix(".new")
        new.write_text(f"{operation} {file} {error} {after} {times}\n")
        os.replace(new, self._fault)

    def heal(self) -> None:
        """Let everything succeed from now on."""
        self._fault.unlink(missing_ok=True)
