"""``GET /health`` and what every answer has in common."""

import os
import re

import pytest

import claude_mailbox
from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.mail import Mail, is_now


def test_health_tells_who_answers(mail: Mail, daemon: DaemonProcess) -> None:
    """Status, version and database, and what else helps to tell daemons apart."""
    health = mail.health()

    assert health["status"] == "ok"
    assert health["version"] == claude_mailbox.__version__
    assert health["dbPath"] == str(daemon.database)
    assert health["pid"] == daemon.pid
    assert health["addresses"] == [daemon.url, f"unix:{daemon.socket_path}"]
    assert health["mcp"] in {"starting", "ready"}
    assert health["waiters"] == 0


def test_mcp_becomes_ready(mail: Mail) -> None:
    """The SDK is imported in the background."""
    while mail.health()["mcp"] != "ready":
        pass


def test_a_request_with_a_name_registers_it(mail: Mail, fresh: Fresh) -> None:
    """Even one that asks for nothing."""
    name = fresh("visitor")

    mail.request("GET", "/health", name)

    assert is_now(mail.rows()[name]["lastSeenAt"])


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/health"),
        ("GET", "/v1/peek?name=somebody"),
        ("POST", "/v1/check-inbox?name={}"),
        ("GET", "/v1/watch?name={}&timeout=0"),
        ("GET", "/v1/list"),
        ("POST", "/v1/ack"),
        ("POST", "/v1/release"),
        ("POST", "/v1/extend"),
    ],
)
def test_every_request_notes_presence(
    connect: Connect, fresh: Fresh, method: str, target: str
) -> None:
    """``lastSeenAt`` is the time of the last request with that name, whatever it was."""
    mail = connect()
    name = fresh("visitor")
    content = {"leases": []} if target.endswith(("ack", "release", "extend")) else None

    assert mail.request(method, target.format(name), name, content=content).status in {200, 204}

    first = mail.rows()[name]["lastSeenAt"]
    assert is_now(first)
    mail.request(method, target.format(name), name, content=content)
    assert first <= mail.rows()[name]["lastSeenAt"]


def test_json_is_compact_utf_8(mail: Mail, fresh: Fresh) -> None:
    """Letters of all scripts go out as they are."""
    name = fresh("me")
    mail.send("peer", name, "žluťoučký 🐎")

    reply = mail.request("POST", f"/v1/check-inbox?name={name}", name)

    assert reply.headers["content-type"] == "application/json"
    assert "žluťoučký 🐎".encode() in reply.body
    assert b'"from":"peer"' in reply.body


class TestNoSuchThing:
    """404 and 405."""

    @pytest.mark.parametrize("target", ["/", "/v1", "/v1/", "/v2/send", "/favicon.ico", "/mcp/x"])
    def test_an_unknown_path(self, connect: Connect, target: str) -> None:
        """The sentence names it."""
        sentence = connect().request("GET", target).error(404, "not-found")

        assert target in sentence

    def test_an_unknown_path_with_markup(self, mail: Mail) -> None:
        """What comes back is JSON, whatever was asked for."""
        reply = mail.request("GET", "/<script>alert(1)</script>%0d%0aX-Evil:%201%ff%00")

        reply.error(404, "not-found")
        assert "x-evil" not in reply.headers

    @pytest.mark.parametrize(
        ("method", "target", "allowed"),
        [
            ("POST", "/health", "GET"),
            ("GET", "/v1/send", "POST"),
            ("PUT", "/v1/send", "POST"),
            ("POST", "/v1/peek", "GET"),
            ("GET", "/v1/check-inbox", "POST"),
            ("POST", "/v1/watch", "GET"),
            ("GET", "/v1/ack", "POST"),
            ("GET", "/v1/release", "POST"),
            ("GET", "/v1/extend", "POST"),
            ("DELETE", "/v1/list", "GET"),
            ("GET", "/v1/rename", "POST"),
            ("GET", "/v1/mailbox", "DELETE"),
            ("OPTIONS", "/v1/send", "POST"),
        ],
    )
    def test_a_wrong_method(self, connect: Connect, method: str, target: str, allowed: str) -> None:
        """The header ``Allow`` and the sentence name the right one."""
        reply = connect().request(method, target)

        sentence = reply.error(405, "method-not-allowed")
        assert reply.headers["allow"] == allowed
        assert allowed in sentence

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
    def test_mcp_takes_post_only(self, connect: Connect, method: str) -> None:
        """There are no streams to open and no sessions to end."""
        reply = connect().request(method, "/mcp")

        reply.error(405, "method-not-allowed")
        assert reply.headers["allow"] == "POST"


def test_no_answer_tells_what_runs_below(mail: Mail) -> None:
    """No server banner, no cookie, no cross-origin permission."""
    for reply in (mail.request("GET", "/health"), mail.request("GET", "/nothing")):
        assert not {"server", "set-cookie", "access-control-allow-origin"} & set(reply.headers)
        assert re.search(r"GMT$", reply.headers["date"])


def test_the_socket_is_ours_alone(daemon: DaemonProcess) -> None:
    """The file system is the boundary: the home folder and the socket are closed to others."""
    assert daemon.socket_path is not None
    assert os.stat(daemon.home).st_mode & 0o077 == 0
    assert os.stat(daemon.socket_path).st_mode & 0o177 == 0
