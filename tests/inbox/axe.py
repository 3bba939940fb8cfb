"""axe-core, the checker of accessibility, from npm by way of the user's cache folder."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.14.1"
_SECONDS = 60


def axe_source() -> str | None:
    """Return its script, or None where it can neither be found nor fetched."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claude-mailbox-tests"
    )
    file = cache / f"axe-core-{VERSION}.js"
    if not file.exists() and not _fetch(file):
        return None
    return file.read_text()


def _fetch(file: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        try:
            subprocess.run(
                [npm, "pack", "--silent", f"axe-core@{VERSION}"],
                cwd=folder,
                capture_output=True,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            new = Path(folder) / "axe.js"
            new.write_bytes(member.read())
        new.replace(file)
    return True
