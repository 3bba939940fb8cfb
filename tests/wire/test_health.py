"""``GET /health`` and what every answer has in common."""

import os
import re

import pytest

import claude_mailbox
from support.commandline import until
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


def test_mcp_becomes_ready_by_itself(mail: Mail) -> None:
    """The SDK is imported in the background, also if nobody asks."""
    until(lambda: mail.health()["mcp"] == "ready", "the tools")


@pytest.mark.parametrize(
    ("method", "target"),
    [
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


@pytest.mark.parametrize("target", ["/health", "/v1/peek?name={}", "/v1/peek?name=somebody"])
def test_reading_makes_no_mailbox(mail: Mail, fresh: Fresh, target: str) -> None:
    """Nor does it count as presence."""
    name = fresh("visitor")

    assert mail.request("GET", target.format(name), name).status == 200

    assert name not in mail.rows()


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

    @pytest.mark.parametrize("target", ["/v1", "/v1/", "/v2/send", "/favicon.ico", "/mcp/x"])
    def test_an_unknown_path_is_404(self, connect: Connect, target: str) -> None:
        """The sentence names it."""
        sentence = connect().request("GET", target).error(404, "not-found")

        assert target in sentence

    def test_an_unknown_path_is_404_in_json_whatever_it_contains(self, mail: Mail) -> None:
        """What comes back is JSON, whatever was asked for."""
        reply = mail.request("GET", "/<script>alert(1)</script>%0d%0aX-Evil:%201%ff%00")

        reply.error(404, "not-found")
        assert "x-evil" not in reply.headers

    @pytest.mark.parametrize(
        ("method", "target", "allowed"),
        [
            ("POST", "/health", "GET"),
            ("HEAD", "/v1/send", "POST"),
            ("HEAD", "/v1/watch", "GET"),
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
        ],
    )
    def test_a_wrong_method_is_405(
        self, connect: Connect, method: str, target: str, allowed: str
    ) -> None:
        """The header ``Allow`` and the sentence name the right one."""
        reply = connect().request(method, target)

        assert reply.status == 405
        assert allowed in reply.headers["allow"].split(", ")
        if method != "HEAD":
            assert reply.error(405, "method-not-allowed").endswith(f": use {allowed}.")

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
    def test_mcp_takes_post_only(self, connect: Connect, method: str) -> None:
        """There are no streams to open and no sessions to end."""
        reply = connect().request(method, "/mcp")

        reply.error(405, "method-not-allowed")
        assert reply.headers["allow"] == "OPTIONS, POST"


class TestHeadAndOptions:
    """What every server answers."""

    @pytest.mark.parametrize("target", ["/health", "/v1/list", "/v1/peek?name=somebody"])
    def test_head_is_get_without_the_body(self, connect: Connect, target: str) -> None:
        """With the headers that GET has, and the connection goes on."""
        mail = connect()
        get, head = mail.request("GET", target), mail.request("HEAD", target)

        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert mail.health()["status"] == "ok"

    @pytest.mark.parametrize(
        ("target", "allowed"),
        [
            ("/health", "GET, HEAD, OPTIONS"),
            ("/v1/send", "OPTIONS, POST"),
            ("/v1/watch", "GET, OPTIONS"),
            ("/v1/session", "GET, HEAD, OPTIONS, POST"),
        ],
    )
    def test_options_lists_the_methods(self, connect: Connect, target: str, allowed: str) -> None:
        """And grants a page of another site nothing."""
        reply = connect().request("OPTIONS", target)

        assert (reply.status, reply.body) == (200, b"")
        assert ", ".join(sorted(reply.headers["allow"].split(", "))) == allowed
        assert not any(name.startswith("access-control") for name in reply.headers)


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
