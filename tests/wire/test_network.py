"""What is different for clients on other machines: TLS, tokens, and whom they may be."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from support.network import NetworkDaemon, free_port
from wire.connection import ClosedByDaemon, Connection, path
from wire.mail import Mail


@pytest.fixture(scope="module")
def network() -> Iterator[NetworkDaemon]:
    """A daemon that other machines can reach; its token is for mailboxes ``web-...``."""
    with NetworkDaemon({"localPort": free_port()}, patterns=["web-*"]) as process:
        yield process


@contextmanager
def connected(network: NetworkDaemon, token: str | None = None) -> Iterator[Mail]:
    """A connection over TLS."""
    with Mail(network.tls_address(token)) as mail:
        yield mail


@pytest.mark.parametrize("authorization", [None, "Basic abc", "Bearer", "Bearer cmb_0_0"])
@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/health"), ("POST", "/mcp"), ("GET", "/v1/watch?name=web-a"), ("GET", "/nothing")],
)
def test_no_request_is_answered_without_a_token(
    network: NetworkDaemon, method: str, target: str, authorization: str | None
) -> None:
    """401 with a sentence, and a challenge as RFC 6750 and MCP ask for it."""
    with connected(network) as mail:
        mail._fixed_headers.pop("Authorization")
        headers = {} if authorization is None else {"Authorization": authorization}
        reply = mail.request(method, target, "web-a", headers=headers)

    is_token = authorization is not None and "cmb" in authorization
    reason = "invalid-token" if is_token else "unauthorized"
    assert "token" in reply.error(401, reason)
    challenge = reply.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="claude-mailbox"')
    assert ('error="invalid_token"' in challenge) is is_token


@pytest.mark.parametrize(
    ("method", "target", "name", "content"),
    [
        ("POST", "/v1/send", "db", {"to": "web-a", "body": "x"}),
        ("POST", "/v1/check-inbox?name=db", "db", None),
        ("GET", "/v1/watch?name=db", "db", None),
        ("GET", "/v1/follow?name=db", "db", None),
        ("GET", "/v1/history?name=db", "db", None),
        ("GET", "/v1/message?id=1", "db", None),
        ("POST", "/v1/ack", "db", {"leases": []}),
        ("POST", "/v1/rename", "web-a", {"to": "db"}),
        ("DELETE", "/v1/mailbox?name=db", "db", None),
        ("POST", "/v1/session", None, {"sessionId": "s", "name": "db"}),
    ],
)
def test_a_token_is_for_its_mailboxes_alone(
    network: NetworkDaemon, method: str, target: str, name: str | None, content: object
) -> None:
    """403 with a sentence, whatever the request."""
    with connected(network) as mail:
        reply = mail.request(method, target, name, content=content)
        names = {row["name"] for row in mail.request("GET", "/v1/list").json()}

    assert "web-*" in reply.error(403, "not-allowed")
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
    assert names.isdisjoint({"db", "user"})


def test_nobody_elsewhere_is_the_user(network: NetworkDaemon) -> None:
    """Whatever the token is for."""
    with connected(network, network.create_token("*")) as mail:
        content = {"to": "web-a", "body": "x"}
        mail.request("POST", "/v1/send", "user", content=content).error(403, "forbidden")


@pytest.mark.parametrize(
    ("method", "target", "content"),
    [
        ("POST", "/v1/inbox", {}),
        ("POST", "/v1/recent", {}),
        ("GET", "/v1/held", None),
        ("POST", "/v1/held/release", {}),
        ("GET", "/v1/parked", None),
        ("POST", "/v1/parked/retry", {"ids": []}),
        ("POST", "/v1/parked/drop", {"ids": []}),
        ("GET", f"/v1/identity?nonce={'0' * 16}", None),
    ],
)
def test_what_only_this_machine_may_is_refused_to_tokens(
    network: NetworkDaemon, method: str, target: str, content: object
) -> None:
    """No token allows it, whatever its mailboxes."""
    with connected(network, network.create_token("*")) as mail:
        reply = mail.request(method, target, content=content)
        assert "own machine" in reply.error(403, "not-allowed")


def test_a_former_name_needs_the_token_of_its_mailbox(network: NetworkDaemon) -> None:
    """What counts is the mailbox that it stands for now."""
    with Mail(("127.0.0.1", network.port)) as mail:
        mail.send("web-left", "web-a")
        mail.rename("web-left", "db-right")
    with connected(network) as mail:
        for method, target in (("POST", "/v1/check-inbox"), ("GET", "/v1/history")):
            mail.request(method, path(target, name="web-left"), "web-left").error(
                403, "not-allowed"
            )


def test_a_session_of_others_is_not_reached_by_its_id(network: NetworkDaemon) -> None:
    """Nor by the key of a process of the daemon's machine."""
    session = {"sessionId": "theirs", "name": "db-session", "client": "1-1", "bell": False}
    with Mail(("127.0.0.1", network.port)) as mail:
        assert mail.request("POST", "/v1/session", content=session).status == 200
    with connected(network) as mail:
        for headers in ({"X-Mailbox-Session": "theirs"},):
            reply = mail.request("POST", "/v1/check-inbox", headers=headers)
            reply.error(403, "not-allowed")
        reply = mail.request("POST", "/v1/check-inbox", headers={"X-Mailbox-Client": "1-1"})
        reply.error(400, "invalid-name")
        for target in ("/v1/session/end", "/v1/session/event", "/v1/session"):
            content = {"sessionId": "theirs", "name": "web-s"}
            mail.request("POST", target, content=content).error(403, "not-allowed")
    with Mail(("127.0.0.1", network.port)) as mail:
        reply = mail.request("GET", "/v1/session?client=1-1")
        assert reply.json() == {"sessionId": "theirs", "name": "db-session"}


def call(mail: Mail, tool: str, **arguments: object) -> dict[str, object]:
    """Call a tool; return the result."""
    reply = mail.request(
        "POST",
        "/mcp",
        content={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        },
        headers={"Accept": "application/json", "MCP-Protocol-Version": "2025-11-25"},
    )
    assert reply.status == 200, reply
    result = reply.json()["result"]
    assert isinstance(result, dict)
    return result


def test_tools_act_for_the_mailboxes_of_the_token(network: NetworkDaemon) -> None:
    """Whatever mailbox a call names for itself."""
    with connected(network) as mail:
        sent = call(mail, "send", **{"from": "web-x", "to": "web-y", "body": "by tool"})
        taken = call(mail, "check_inbox", name="web-y")
        assert sent["isError"] is False
        assert "by tool" in str(taken["structuredContent"])
        for tool, arguments in (
            ("send", {"from": "db", "to": "web-y", "body": "x"}),
            ("check_inbox", {"name": "db"}),
            ("watch", {"name": "db", "timeout": 0}),
            ("history", {"name": "db"}),
            ("rename", {"current_name": "web-y", "new_name": "db"}),
        ):
            result = call(mail, tool, **arguments)
            assert result["isError"] is True
            assert "web-*" in str(result["content"])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_tokens_are_made_over_the_unix_socket_alone(network: NetworkDaemon, method: str) -> None:
    """Neither other machines nor other programs on the port of this one can make any."""
    content = {"mailboxes": ["*"]} if method == "POST" else None
    with connected(network) as mail, Mail(("127.0.0.1", network.port)) as local:
        for connection in (mail, local):
            reply = connection.request(method, "/v1/tokens?id=1", content=content)
            assert "Unix socket" in reply.error(403, "forbidden")


def test_revoking_ends_what_runs(network: NetworkDaemon) -> None:
    """A watch is told so, a stream ends, and nothing is answered from then on."""
    token = network.create_token("web-*")
    assert network.socket_path is not None
    with (
        connected(network, token) as watcher,
        connected(network, token) as reader,
        Connection(network.socket_path) as local,
    ):
        watcher.start_watch("web-watch")
        reader.start("GET", "/v1/follow?name=web-follow", "web-follow")
        reader.read_head()
        while local.request("GET", "/health").json()["waiters"] < 2:
            pass
        token_id = token.split("_")[1]
        assert local.request("DELETE", f"/v1/tokens?id={token_id}").status == 200

        assert "was revoked" in watcher.read().error(401, "invalid-token")
        assert not reader.read_to_end().endswith(b"0\r\n\r\n")
        with connected(network, token) as mail:
            mail.request("GET", "/health").error(401, "invalid-token")


def test_wrong_tokens_are_limited(network: NetworkDaemon) -> None:
    """429 from the eleventh on, while a client whose token was right goes on."""
    with connected(network) as good, connected(network, "cmb_0_0") as bad:
        assert good.request("GET", "/health").status == 200
        statuses = []
        for _ in range(11):
            with connected(network, "cmb_0_0") as bad:
                reply = bad.request("GET", "/health")
                statuses.append(reply.status)
        assert statuses[-1] == 429
        assert reply.headers["retry-after"] == "60"
        assert good.request("GET", "/health").status == 200


def test_plain_text_is_refused(network: NetworkDaemon) -> None:
    """On the port that speaks TLS."""
    address = network.tls_address()
    with Connection((address.host, address.port)) as plain, pytest.raises(ClosedByDaemon):
        plain.request("GET", "/health")


async def test_mail_is_sent_and_taken_over_http_2(network: NetworkDaemon) -> None:
    """Mail is sent, waited for and taken; a body needs no length, but its type and its limit."""
    address = network.tls_address()
    async with httpx.AsyncClient(
        base_url=f"https://{address.host}:{address.port}",
        http2=True,
        http1=False,
        verify=address.context,
        headers={"Authorization": f"Bearer {address.token}", "X-Mailbox": "web-two"},
    ) as client:

        async def in_pieces():
            yield b'{"to": "web-two", '
            yield b'"body": "in pieces"}'

        json_type = {"Content-Type": "application/json"}
        sent = await client.post("/v1/send", content=in_pieces(), headers=json_type)
        assert sent.http_version == "HTTP/2"
        assert sent.json()["state"] == "queued"
        untyped = await client.post("/v1/send", content=in_pieces())
        assert untyped.status_code == 415
        taken = await client.post("/v1/check-inbox?name=web-two")
        assert [message["body"] for message in taken.json()] == ["in pieces"]
        origin = {"Origin": "https://elsewhere.example"}
        assert (await client.get("/health", headers=origin)).status_code == 403
