"""A bug in the store: requests are answered, the daemon ends, and the next one has the mail."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from support.daemon import PATIENCE_SECONDS, DaemonProcess

# The daemon, whose engine has a bug as soon as a certain file is there.
DAEMON_WITH_A_BUG = """
import os, sys
from claude_mailbox.__main__ import main
from claude_mailbox.daemon.store.sqlite.engine import SqliteEngine

begin = SqliteEngine.begin
bug_file = os.environ["BUG_FILE"]  # the daemon forgets it

def fail_sometimes(self, **options):
    if os.path.exists(bug_file):
        raise RuntimeError("a surprise")
    return begin(self, **options)

SqliteEngine.begin = fail_sometimes
main()
"""


def send(process: DaemonProcess, body: str) -> httpx.Response:
    """Send a message from 'a' to 'b'."""
    return httpx.post(
        f"{process.url}/v1/send",
        headers={"X-Mailbox": "a"},
        json={"to": "b", "body": body},
        timeout=PATIENCE_SECONDS,
    )


def receive(process: DaemonProcess, verb: str) -> httpx.Response:
    """Ask for mail to 'b'."""
    method = "GET" if verb == "watch" else "POST"
    url = f"{process.url}/v1/{verb}?name=b"
    return httpx.request(method, url, headers={"X-Mailbox": "b"}, timeout=PATIENCE_SECONDS)


def wait_for_watcher(process: DaemonProcess) -> None:
    """Return when somebody waits for mail."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while httpx.get(f"{process.url}/health").json()["waiters"] != 1:
        assert time.monotonic() < deadline, "nobody waits"


def test_requests_get_503_and_the_daemon_ends_with_an_error(scratch: Path) -> None:
    """The one that met the bug, and one that was waiting for mail."""
    bug_file = scratch / "bug"
    process = DaemonProcess(
        command=[sys.executable, "-c", DAEMON_WITH_A_BUG],
        environment={"BUG_FILE": str(bug_file)},
    )
    try:
        process.start()
        assert send(process, "before").status_code == 200
        assert receive(process, "check-inbox").status_code == 200
        with ThreadPoolExecutor(1) as pool:
            watch = pool.submit(receive, process, "watch")
            wait_for_watcher(process)
            bug_file.touch()
            refused = send(process, "refused")
            assert watch.result().status_code == 503
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.json() == {
            "error": "The daemon has failed and is ending: try again in a moment.",
            "reason": "unavailable",
        }
        assert process.wait() == 1
        assert "RuntimeError: a surprise" in process.log()
        bug_file.unlink()
        process.start()
        assert send(process, "after").status_code == 200
        assert [each["body"] for each in receive(process, "check-inbox").json()] == ["after"]
    finally:
        # The log has a traceback, as it must.
        process.close(is_failing=True)
