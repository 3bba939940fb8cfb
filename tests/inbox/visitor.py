"""A person's browser without a browser: an HTTP client that the inbox has let in."""

import re
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlencode

import httpx

from claude_mailbox.client.reach.api import Daemon, Identity
from support.daemon import DaemonProcess

PATIENCE_SECONDS = 30.0


def one_time_address(daemon: DaemonProcess) -> str:
    """Return an address of the inbox, asked for on the Unix socket."""
    with Daemon(f"unix:{daemon.socket_path}") as client:
        found = client.call("POST", "/v1/inbox").value
    assert isinstance(found, dict)
    return str(found["url"])


def send(daemon: DaemonProcess, sender: str, to: str, body: str, **fields: object) -> int:
    """Send a message; return its number."""
    with Daemon(f"unix:{daemon.socket_path}") as client:
        content = {"to": to, "body": body, **fields}
        sent = client.call("POST", "/v1/send", identity=Identity(sender), body=content).value
    assert isinstance(sent, dict)
    return int(sent["id"])


def take(daemon: DaemonProcess, name: str) -> list[dict[str, object]]:
    """Take all mail of a mailbox."""
    me = Identity(name)
    with Daemon(f"unix:{daemon.socket_path}") as client:
        found = client.call("POST", "/v1/check-inbox", identity=me, query=tuple(me.query)).value
    assert isinstance(found, list)
    return found


class Visitor:
    """Reads pages and sends forms, as a context manager.

    Args:
        daemon: whose inbox it is.
        enters: whether it has a cookie from the start.
    """

    def __init__(self, daemon: DaemonProcess, *, enters: bool = True) -> None:
        self.http = httpx.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS)
        if enters:
            response = self.http.get(one_time_address(daemon))
            assert response.status_code == 200, response.text

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.http.close()

    def page(self, path: str, **parameters: object) -> str:
        """Return the HTML of a page."""
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        response = self.http.get(target)
        assert response.status_code == 200, response.text
        return response.text

    def fields(self, path: str) -> dict[str, str]:
        """Return the hidden fields of a page's form."""
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.page(path)))

    def post(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a form."""
        return self.http.post(path, data=fields, headers=headers)
