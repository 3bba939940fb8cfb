"""Make the two pictures of the web inbox in the README, light and dark.

    python docs/inbox_pictures.py

It runs a daemon in a throw-away home, lets made-up sessions talk, and photographs the first page in
the system's Chromium.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from playwright.sync_api import sync_playwright

FOLDER = os.path.dirname(__file__)
SIZE = {"width": 1180, "height": 760}

# Project, session id, what it does.
SESSIONS = (
    ("webshop", "3f2a91bc-5d04-4e1b-9a77-0c8e5f21d6aa", "working"),
    ("webshop", "c41d07e2-8c15-4a0e-a7f1-2f6a3b9f0d11", "waiting"),
    ("payments", "90b7e6d5-1f6b-47d2-8a59-7e01c1a4be02", "idle"),
    ("docs", "5be0c8aa-0d3f-4f43-9c0e-6b7f2c9a1e33", "idle"),
)
SHOP, SHOP_TESTS, PAYMENTS, DOCS = (f"{project}-{number[:8]}" for project, number, _ in SESSIONS)
# Sender, receiver, text, whether the receiver reads it.
MAIL = (
    (
        SHOP,
        PAYMENTS,
        "The checkout calls POST /payments twice when somebody double-clicks. Can you make it"
        " idempotent? I send an Idempotency-Key from now on.",
        True,
    ),
    (
        PAYMENTS,
        SHOP,
        "Done, on branch payments-idempotency: a repeated key gets the first charge again."
        "\n\n14 new tests, all green. Please run your end-to-end tests against it.",
        True,
    ),
    (PAYMENTS, DOCS, "Errors have a field `reason` now. Please add it to errors.md.", False),
    (SHOP, SHOP_TESTS, "Payments are idempotent on staging: run the checkout suite.", True),
    (SHOP, "user", "All 212 end-to-end tests pass. Shall I deploy to production?", False),
)


def call(url: str, path: str, mailbox: str = "", content: object = None) -> None:
    """Make one request."""
    request = urllib.request.Request(  # noqa: S310
        url + path,
        method="POST",
        data=None if content is None else json.dumps(content).encode(),
        headers={"Content-Type": "application/json"} if content is not None else {},
    )
    if mailbox:
        request.add_header("X-Mailbox", mailbox)
    urllib.request.urlopen(request).close()  # noqa: S310


def tell_story(url: str) -> None:
    """Let the sessions start and talk."""
    for project, number, state in SESSIONS:
        call(url, "/v1/session", content={"sessionId": number, "name": f"{project}-{number[:8]}"})
        event = {"sessionId": number, "state": state, "project": project, "cwd": f"/src/{project}"}
        call(url, "/v1/session/event", content=event)
    for sender, receiver, text, is_read in MAIL:
        call(url, "/v1/send", sender, {"to": receiver, "body": text})
        if is_read:
            call(url, f"/v1/check-inbox?name={receiver}", receiver)


def main() -> None:
    """Write both pictures."""
    with tempfile.TemporaryDirectory(prefix="cmb-") as home:
        environment = {**os.environ, "CLAUDE_MAILBOX_HOME": home}
        command = [sys.executable, "-m", "claude_mailbox"]
        daemon = subprocess.Popen(
            [*command, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE
        )
        try:
            assert daemon.stdout is not None  # noqa: S101
            daemon.stdout.readline()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
                for scheme in ("light", "dark"):
                    address = subprocess.run(
                        [*command, "inbox", "--print"],
                        env=environment,
                        capture_output=True,
                        text=True,
                        check=True,
                    ).stdout.strip()
                    url = address.partition("/inbox/")[0]
                    if scheme == "light":
                        tell_story(url)
                    page = browser.new_page(
                        color_scheme=scheme, viewport=SIZE, device_scale_factor=1.5
                    )
                    page.goto(address)
                    page.wait_for_url(f"{url}/")
                    page.screenshot(path=os.path.join(FOLDER, f"inbox-{scheme}.png"))
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main()
