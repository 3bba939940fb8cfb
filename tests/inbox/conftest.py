"""Fixtures of the inbox's tests: a daemon and a browser for all of them."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from inbox.visitor import Visitor, one_time_address
from support.daemon import DaemonProcess

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="package")
def daemon() -> Iterator[DaemonProcess]:
    """One daemon for all; tests use mailboxes of their own."""
    with DaemonProcess() as process:
        yield process


@pytest.fixture
def visitor(daemon: DaemonProcess) -> Iterator[Visitor]:
    """A client with a cookie."""
    with Visitor(daemon) as client:
        yield client


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """The system's Chromium; the tests are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: install it for the tests of the inbox")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, daemon: DaemonProcess) -> Iterator[Any]:
    """A page of a browser that has entered; it fails on errors of scripts and of the policy."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(one_time_address(daemon))
    page.wait_for_url(f"{daemon.url}/")
    yield page
    context.close()
    assert not problems
    assert all(url.startswith(daemon.url) for url in requests)
