"""Who may come in: Host, Origin, content type and size, on every route, ``/mcp`` included."""

import json

import pytest

from support.daemon import DaemonProcess
from wire.conftest import Connect, Fresh
from wire.connection import Connection
from wire.mail import Mail

ROUTES = [
    ("GET", "/health"),
    ("POST", "/v1/send"),
    ("GET", "/v1/peek?name=x"),
    ("POST", "/v1/check-inbox?name=x"),
    ("GET", "/v1/watch?name=x&timeout=0"),
    ("POST", "/v1/ack"),
    ("POST", "/v1/release"),
    ("POST", "/v1/extend"),
    ("GET", "/v1/list"),
    ("POST", "/v1/rename"),
    ("DELETE", "/v1/mailbox?name=x"),
    ("GET", "/v1/follow?name=x"),
    ("POST", "/v1/session"),
    ("POST", "/v1/session/end"),
    ("GET", "/v1/session?id=x"),
    ("POST", "/mcp"),
    ("GET", "/nothing"),
]
CHUNK = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
every_route = pytest.mark.parametrize(("method", "target"), ROUTES)


class TestHost:
    """A page that rebinds its own name to our address cannot hide that name."""

    @every_route
    def test_the_name_of_another_host_is_refused(
        self, connect: Connect, method: str, target: str
    ) -> None:
        """403 everywhere; the sentence says what to do."""
        headers: dict[str, str | bytes] = {"Host": "rebound.example:37849"}

        reply = connect().request(method, target, "x", headers=headers)

        sentence = reply.error(403, "forbidden")
        assert "rebound.example" in sentence
        assert "allowedHosts" in sentence

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "127.0.0.1:1", "localhost", "LocalHost:80", "[::1]", "[::1]:37849"]
    )
    def test_names_of_this_machine_are_accepted(self, mail: Mail, host: str) -> None:
        """With any port: who forwards one is not asked how."""
        assert mail.request("GET", "/health", headers={"Host": host}).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil",
            "localhost.evil",
            "localhost@evil",
            "127.0.0.1.nip.io",
            "127.0.0.2",
            "0.0.0.0",
            "[::1",
            "[::2]",
            "2130706433",
            "localhost, evil",
            "127.0.0.1 evil",
            "\xff",
        ],
    )
    def test_names_that_only_look_like_ours_are_refused(self, connect: Connect, host: str) -> None:
        """Compared as a whole."""
        headers: dict[str, str | bytes] = {"Host": host.encode("latin-1")}

        reply = connect().request("GET", "/health", headers=headers)

        assert reply.status in {400, 403}

    def test_further_names_can_be_allowed(self) -> None:
        """``allowedHosts``, in any case."""
        with (
            DaemonProcess({"allowedHosts": ["Mail.Internal"]}) as daemon,
            Mail(("127.0.0.1", daemon.port)) as mail,
        ):
            allowed = mail.request("GET", "/health", headers={"Host": "mail.internal:80"})
            origin = mail.request("GET", "/health", headers={"Origin": "http://mail.internal"})

            assert (allowed.status, origin.status) == (200, 403)


class TestOrigin:
    """The browser tells which page sends; programs do not have one."""

    @every_route
    def test_a_page_of_another_origin_is_refused(
        self, connect: Connect, method: str, target: str
    ) -> None:
        """403 everywhere."""
        headers: dict[str, str | bytes] = {"Origin": "https://evil.example"}

        reply = connect().request(method, target, "x", headers=headers)

        assert "evil.example" in reply.error(403, "forbidden")

    @pytest.mark.parametrize(
        "origin",
        [
            "null",
            "",
            "http://",
            "http://localhost.evil",
            "http://evil/localhost",
            "http://localhost@evil",
            "file://",
            "file://localhost",
            "chrome-extension://abc",
            "localhost",
            "http://[::1",
            "http://127.0.0.1:99999999",
            "http://127.0.0.1:port",
            "\xff",
        ],
    )
    def test_origins_that_are_not_ours_are_refused(self, connect: Connect, origin: str) -> None:
        """``null`` is a sandboxed page, and not ours either."""
        headers: dict[str, str | bytes] = {"Origin": origin.encode("latin-1")}

        connect().request("GET", "/health", headers=headers).error(403, "forbidden")

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
    def test_our_own_origin_is_accepted(self, daemon: DaemonProcess, host: str) -> None:
        """Our address with our port; with another port it is another program's page."""
        with Mail(("127.0.0.1", daemon.port)) as mail:
            ours = mail.request(
                "GET", "/health", headers={"Origin": f"http://{host}:{daemon.port}"}
            )
            assert ours.status == 200
        for other in (f"http://{host}", f"http://{host}:{daemon.port + 1}"):
            with Mail(("127.0.0.1", daemon.port)) as mail:
                reply = mail.request("GET", "/health", headers={"Origin": other})
                reply.error(403, "forbidden")

    def test_two_origins_are_refused(self, connect: Connect, daemon: DaemonProcess) -> None:
        """One of ours does not excuse the other."""
        mail = connect()
        mail.write(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://127.0.0.1:%d\r\n"
            b"Origin: http://evil.example\r\n\r\n" % daemon.port
        )

        assert mail.read().status == 403

    def test_a_preflight_is_never_granted(self, connect: Connect) -> None:
        """So no page may send JSON."""
        headers: dict[str, str | bytes] = {
            "Origin": "http://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, x-mailbox",
        }

        reply = connect().request("OPTIONS", "/v1/send", headers=headers)

        assert reply.status == 403
        assert not [name for name in reply.headers if name.startswith("access-control")]


class TestContentType:
    """What a page may send without asking first is not JSON."""

    @pytest.mark.parametrize(
        "value",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json-patch+json",
            "text/plain; application/json",
            "application/json, text/plain",
            "",
        ],
    )
    @pytest.mark.parametrize("target", ["/v1/send", "/v1/ack", "/v1/rename", "/v1/session", "/mcp"])
    def test_other_content_types_are_refused(
        self, connect: Connect, fresh: Fresh, value: str, target: str
    ) -> None:
        """415, and nothing happens."""
        to = fresh("to")
        body = json.dumps({"to": to, "body": "x"}).encode()

        reply = connect().request(
            "POST", target, "sender", body=body, headers={"Content-Type": value}
        )

        assert "application/json" in reply.error(415, "wrong-content-type")
        assert connect().peek(to)["pending"] == 0

    def test_a_body_without_a_content_type_is_refused(self, connect: Connect) -> None:
        """A body has to say what it is."""
        mail = connect()
        mail.write(b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")

        mail.read().error(415, "wrong-content-type")

    @pytest.mark.parametrize("value", ["application/json; charset=utf-8", "Application/JSON"])
    def test_other_spellings_of_the_json_type_are_accepted(
        self, mail: Mail, fresh: Fresh, value: str
    ) -> None:
        """Parameters and case do not matter."""
        content = {"to": fresh("to"), "body": "x"}

        reply = mail.request(
            "POST", "/v1/send", "sender", content=content, headers={"Content-Type": value}
        )

        assert reply.status == 200

    def test_requests_without_a_body_need_no_content_type(self, mail: Mail, fresh: Fresh) -> None:
        """``check-inbox`` and ``DELETE`` send nothing."""
        name = fresh("me")

        assert mail.check(name) == []
        assert mail.delete(name) is True

    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_a_page_cannot_take_mail(self, connect: Connect, fresh: Fresh, method: str) -> None:
        """A simple request of a form: it has a type that is not ours, and so does nothing."""
        name = fresh("me")
        connect().send("sender", name)
        headers: dict[str, str | bytes] = {"Content-Type": "text/plain"}

        reply = connect().request(
            method, f"/v1/check-inbox?name={name}", name, body=b"", headers=headers
        )

        assert reply.status == 415
        assert connect().peek(name)["pending"] == 1


class TestSize:
    """Bodies over the limit are refused before they are read."""

    def test_a_declared_length_over_the_limit_is_refused(self, connect: Connect) -> None:
        """By the length that the request announces; nothing of the body is needed."""
        mail = connect()
        mail.write(
            b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\n"
            b"Content-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n"
        )

        mail.read().error(413, "too-large")
        assert mail.read_to_end() == b""

    def test_a_chunked_body_over_the_limit_is_refused(self, connect: Connect) -> None:
        """By what has come; the client may send it all before it reads the answer."""
        mail = connect()
        mail.write(
            b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(10):
            mail.write(CHUNK)
        mail.write(b"0\r\n\r\n")

        mail.read().error(413, "too-large")
        assert mail.read_to_end() == b""

    @pytest.mark.parametrize(
        "headers", [{}, {"Content-Type": "text/plain"}, {"Host": "evil.example"}]
    )
    @pytest.mark.parametrize("target", ["/v1/send", "/mcp"])
    def test_a_client_that_sends_it_all_gets_the_answer(
        self, connect: Connect, headers: dict[str, str | bytes], target: str
    ) -> None:
        """Whatever the reason of the refusal: the connection is not reset under the client."""
        reply = connect().request("POST", target, "a", body=b" " * 10_000_000, headers=headers)

        assert reply.status in {403, 413, 415}
        assert len(reply.json()["error"]) > 10

    def test_a_body_without_an_end_is_cut_off(self, connect: Connect) -> None:
        """Somebody who never stops sending is cut off at last."""
        mail = connect()
        mail.write(
            b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: a\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )

        def pour() -> None:
            for _ in range(1000):
                mail.write(CHUNK)

        with pytest.raises(ConnectionError):
            pour()

        assert connect().health()["status"] == "ok"

    @pytest.mark.parametrize("target", ["/mcp", "/v1/rename", "/nothing"])
    def test_the_limit_holds_for_every_route(self, connect: Connect, target: str) -> None:
        """Also where nobody would look at the body."""
        mail = connect()
        mail.start(
            "POST",
            target,
            headers={"Content-Length": "99999999", "Content-Type": "application/json"},
        )

        mail.read().error(413, "too-large")

    def test_the_limit_can_be_set(self) -> None:
        """``maxBodyBytes``"""
        with (
            DaemonProcess({"maxBodyBytes": 10}) as daemon,
            Mail(("127.0.0.1", daemon.port)) as mail,
        ):
            mail.send("a", "b", "x" * 10)
            reply = mail.request("POST", "/v1/send", "a", content={"to": "b", "body": "x" * 11})

            assert "maxBodyBytes" in reply.error(413, "too-large")
            assert mail.bodies("b") == ["x" * 10]


def test_it_listens_on_loopback_only(daemon: DaemonProcess) -> None:
    """The daemon listens on 127.0.0.1, and on no other address of this machine."""
    with pytest.raises(OSError, match=r"refused|assign|unreachable|timed out"):
        Connection(("127.0.0.2", daemon.port))
