"""The inbox in a browser on another machine than the daemon's: over TLS, with a token for the user."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from claude_mailbox.client.reach.api import Daemon
from inbox.visitor import PATIENCE_SECONDS, one_time_address, send, take
from support.commandline import CommandLine
from support.network import NetworkDaemon, free_port

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def network() -> Iterator[NetworkDaemon]:
    """A daemon for other machines, with a port for its own."""
    with NetworkDaemon({"localPort": free_port()}) as process:
        yield process


def address_for(network: NetworkDaemon, token: str) -> str:
    """Return a one-time address, asked for from another machine."""
    variables = {**network.client_environment, "CLAUDE_MAILBOX_TOKEN": token}
    with CommandLine(network, variables) as commandline:
        done = commandline.run("inbox", "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["url"])


def browser(network: NetworkDaemon) -> httpx.Client:
    """Return a client without a cookie, at the daemon's port for other machines."""
    return httpx.Client(
        base_url=f"https://localhost:{network.tls_port}",
        verify=ssl.create_default_context(cafile=str(network.authority)),
        timeout=PATIENCE_SECONDS,
    )


def cookie_header(client: httpx.Client) -> dict[str, str]:
    """Return the header by which it would send its cookie, to wherever."""
    ((name, value),) = client.cookies.items()
    return {"Cookie": f"{name}={value}"}


@pytest.fixture
def token(network: NetworkDaemon) -> str:
    """A token of the user's."""
    return network.create_token("user")


@pytest.fixture
def visitor(network: NetworkDaemon, token: str) -> Iterator[httpx.Client]:
    """A client with a cookie."""
    with browser(network) as client:
        assert client.get(address_for(network, token)).status_code == 200
        yield client


def test_the_address_is_the_one_by_which_the_daemon_is_reached(
    network: NetworkDaemon, token: str
) -> None:
    """And the cookie goes over TLS alone."""
    address = address_for(network, token)
    assert address.startswith(f"{network.client_environment['CLAUDE_MAILBOX_URL']}/inbox/enter?")

    with browser(network) as client:
        entered = client.get(address)
        again = client.get(address)

    parts = {part.strip() for part in entered.headers["set-cookie"].split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Secure"} <= parts
    assert (again.status_code, "set-cookie" in again.headers) == (403, False)


def test_pages_are_read_and_messages_written(network: NetworkDaemon, visitor: httpx.Client) -> None:
    """What is written comes from the user."""
    number = send(network, "far-a", "far-b", "seen from afar")
    assert "seen from afar" in visitor.get("/").text
    form = visitor.get("/inbox/write", params={"to": "far-b"}).text
    fields = {
        name: form.partition(f'name="{name}" value="')[2].partition('"')[0]
        for name in ("token", "key")
    }
    origin = {"Origin": str(visitor.base_url).rstrip("/")}
    content = {**fields, "to": "far-b", "body": "the user's word"}

    refused = visitor.post("/inbox/write", data=content, headers=origin)
    sent = visitor.post("/inbox/write", data=content, headers={**origin, **SAME_SITE})

    assert refused.status_code == 403
    assert sent.status_code in {200, 303}, sent.text
    messages = {message["id"]: message for message in take(network, "far-b")}
    del messages[number]
    ((_, message),) = messages.items()
    assert (message["from"], message["body"]) == ("user", "the user's word")


def test_a_revoked_token_ends_the_visit(network: NetworkDaemon, visitor: httpx.Client) -> None:
    """The pages that are open get no more events, and no other page is shown."""
    (cookie,) = visitor.cookies.jar
    token_id = str(cookie.value).split(".")[2]
    with visitor.stream("GET", "/inbox/events") as events:
        texts = events.iter_text()
        assert next(texts).startswith("id: ")
        with Daemon(f"unix:{network.socket_path}") as daemon:
            daemon.call("DELETE", "/v1/tokens", query=(f"id={token_id}",))
        with pytest.raises(httpx.RemoteProtocolError):
            list(texts)

    refused = visitor.get("/")
    assert (refused.status_code, refused.json()["reason"]) == (401, "invalid-token")


@pytest.mark.parametrize("patterns", [("*",), ("us*",), ("web-*",)])
def test_a_token_that_does_not_name_the_user_opens_no_inbox(
    network: NetworkDaemon, patterns: tuple[str, ...]
) -> None:
    """It is an agent's, and its model must not speak for the user."""
    variables = {
        **network.client_environment,
        "CLAUDE_MAILBOX_TOKEN": network.create_token(*patterns),
    }
    with CommandLine(network, variables) as commandline:
        done = commandline.run("inbox", "--print")

    assert done.returncode == 1
    assert "token for the mailbox 'user'" in done.stderr


def test_the_token_of_the_user_is_good_for_the_inbox_alone(
    network: NetworkDaemon, token: str
) -> None:
    """Mail from the user is written in the inbox."""
    with browser(network) as client:
        headers = {"Authorization": f"Bearer {token}", "X-Mailbox": "user"}
        refused = client.post("/v1/send", json={"to": "far-c", "body": "x"}, headers=headers)

    assert refused.status_code == 403
    assert take(network, "far-c") == []


@pytest.mark.parametrize("path", ["/", "/inbox/mailbox?name=user", "/inbox/events", "/inbox/write"])
def test_without_a_cookie_there_is_nothing(network: NetworkDaemon, path: str) -> None:
    """Nor with one that was made on the daemon's own machine."""
    with browser(network) as client:
        assert client.get(path).status_code == 401
        with httpx.Client(base_url=network.url, timeout=PATIENCE_SECONDS) as local:
            local.get(one_time_address(network))
            headers = cookie_header(local)
        assert client.get(path, headers=headers).status_code == 401


def test_a_cookie_opens_pages_alone(network: NetworkDaemon, visitor: httpx.Client) -> None:
    """And only at the port for other machines."""
    for path in ("/v1/list", "/v1/history?name=user", "/mcp", "/metrics", "/inbox"):
        assert visitor.get(path).status_code == 401
    with httpx.Client(base_url=network.url, timeout=PATIENCE_SECONDS) as local:
        assert local.get("/", headers=cookie_header(visitor)).status_code == 403


def test_a_page_of_another_site_cannot_use_it(visitor: httpx.Client) -> None:
    """Its browser tells whose page asks."""
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
        assert visitor.get("/", headers=headers).status_code == 403


def test_a_real_browser_shows_it(network: NetworkDaemon, token: str, chromium: Any) -> None:
    """Over HTTP/2, with forms and events."""
    context = chromium.new_context(ignore_https_errors=True)
    try:
        page = context.new_page()
        page.goto(address_for(network, token))
        page.wait_for_url(f"https://localhost:{network.tls_port}/")
        send(network, "far-d", "far-e", "it comes by itself")
        page.wait_for_selector("text=it comes by itself", timeout=PATIENCE_SECONDS * 1000)
        page.goto(f"https://localhost:{network.tls_port}/inbox/write?to=far-e")
        page.fill("textarea[name=body]", "written far away")
        page.click("text=Send")
        page.wait_for_selector("text=written far away", timeout=PATIENCE_SECONDS * 1000)
    finally:
        context.close()
    assert [each["from"] for each in take(network, "far-e")] == ["user", "far-d"]
