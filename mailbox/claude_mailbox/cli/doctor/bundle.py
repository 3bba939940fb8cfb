"""A file for a bug report: what the checks found, how things are set, the log. No text of mail."""

import json
import os
import platform
import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict

from claude_mailbox import __version__, paths
from claude_mailbox.cli.doctor.finding import Finding
from claude_mailbox.errors import MailboxError

_LOG_BYTES = 256 * 1024
# Not the secret, not the database, nothing that a token can be in.
_CREDENTIALS = re.compile(rb"://[^@/\s\"]*@")
_FILES = ("mailbox.json", "mailbox.lock")


def write_bundle(path: str, findings: Sequence[Finding]) -> None:
    """Write a zip file with what helps to find a bug.

    Raises:
        MailboxError: if it is there already or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as bundle:
            bundle.writestr("checks.json", _json([asdict(finding) for finding in findings]))
            bundle.writestr("system.json", _json(_system()))
            for name in _FILES:
                content = _end_of(os.path.join(paths.home(), name))
                if content is not None:
                    bundle.writestr(name, content)
            log = _end_of(paths.log_path())
            if log is not None:
                bundle.writestr("daemon.log", log)
    except OSError as error:
        raise MailboxError(
            f"Cannot write {path} ({error.strerror}): choose another name."
        ) from None


def _system() -> dict[str, object]:
    home = paths.home()
    return {
        "version": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "home": home,
        # What is there and how large, not what is in it.
        "files": {
            name: paths.size(os.path.join(home, name))
            for name in sorted(os.listdir(home) if os.path.isdir(home) else [])
        },
        "variables": sorted(name for name in os.environ if name.startswith("CLAUDE_MAILBOX")),
    }


def _end_of(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_BYTES))
            return _CREDENTIALS.sub(b"://...@", file.read())
    except OSError:
        return None


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
