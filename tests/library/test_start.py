"""What the library costs those who do not use it: nothing."""

import subprocess
import sys

import pytest

from support.daemon import DaemonProcess


@pytest.mark.parametrize(
    "arguments", [["-c", "import claude_mailbox"], ["-m", "claude_mailbox", "check", "--hook"]]
)
def test_hooks_import_no_http_client(daemon: DaemonProcess, arguments: list[str]) -> None:
    """Neither does a bare import of the package."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env=daemon.environment,
        input='{"session_id": "1", "hook_event_name": "UserPromptSubmit"}',
        capture_output=True,
        text=True,
        check=True,
    )

    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "claude_mailbox" in imported
    assert not {name for name in imported if name.startswith(("httpx", "anyio", "asyncio", "ssl"))}
    assert "claude_mailbox.library" not in imported


def test_without_httpx_it_says_what_to_install() -> None:
    """Instead of naming a module that nobody has heard of."""
    program = "import sys; sys.modules['httpx'] = None; from claude_mailbox import Mailbox"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert "install claude-mailbox[client]" in result.stderr


def test_the_package_has_no_other_names() -> None:
    """As in any module."""
    with pytest.raises(ImportError):
        from claude_mailbox import Mailboxes  # noqa: F401
