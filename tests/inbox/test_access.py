"""Who may see the inbox."""

import os
import sys
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest

from claude_mailbox.daemon.web.inbox.access import COOKIE_SECONDS, TICKET_SECONDS, InboxAccess
from inbox.visitor import PATIENCE_SECONDS, Visitor, one_time_address, send, take
from support.commandline import CommandLine
from support.daemon import DaemonProcess

PAGES = (
    "/",
    "/inbox/mailbox?name=user",
    "/inbox/message?id=1",
    "/inbox/search?q=x",
    "/inbox/write",
)


def client_key_of(pid: int) -> str:
    """Return what the hooks of a client with that process id tell the daemon."""
    with open(f"/proc/{pid}/stat") as file:
        return f"{pid}-{file.read().rpartition(')')[2].split()[19]}"


class TestAccess:
    """The class, with a clock of its own."""

    def setup_method(self) -> None:
        self.now = 1_000_000_000_000
        self.access = InboxAccess(lambda text: sha256(text.encode()).hexdigest(), lambda: self.now)

    def cookie(self, value: str) -> str | None:
        header = f"{self.access.cookie_name}={value}".encode()
        return self.access.cookie_of({"headers": [(b"cookie", header)]})

    def test_a_ticket_is_good_once(self) -> None:
        """The second who has it gets nothing."""
        ticket = self.access.create_ticket()

        assert self.access.redeem(ticket)
        assert self.access.redeem(ticket) is None

    def test_a_ticket_is_good_for_a_minute(self) -> None:
        """Not longer."""
        ticket = self.access.create_ticket()
        self.now += TICKET_SECONDS * 1000

        assert self.access.redeem(ticket) is None

    def test_a_cookie_ends(self) -> None:
        """By the time that is written in it, whatever the browser says."""
        value = self.access.redeem(self.access.create_ticket()) or ""
        assert self.cookie(value) == value
        self.now += COOKIE_SECONDS * 1000 + 1000

        assert self.cookie(value) is None

    def test_nobody_can_lengthen_a_cookie(self) -> None:
        """Its end is signed."""
        value = self.access.redeem(self.access.create_ticket()) or ""
        end, _, rest = value.partition(".")

        assert self.cookie(f"{int(end) + 1}.{rest}") is None

    def test_form_tokens_belong_to_a_cookie(self) -> None:
        """That of one browser is no use to another one."""
        token = self.access.form_token("one")

        assert self.access.is_form_token(token, "one")
        assert not self.access.is_form_token(token, "two")


@pytest.mark.parametrize("path", PAGES)
def test_without_a_cookie_a_page_says_which_command_to_run(
    daemon: DaemonProcess, path: str
) -> None:
    """And nothing else."""
    with Visitor(daemon, enters=False) as visitor:
        response = visitor.http.get(path)

    assert response.status_code == 403
    assert "claude-mailbox inbox" in response.text
    assert "message" not in response.text.lower().replace("claude-mailbox", "")


def test_events_need_the_cookie(daemon: DaemonProcess) -> None:
    """They tell what mail says."""
    response = httpx.get(f"{daemon.url}/inbox/events", timeout=PATIENCE_SECONDS)

    assert (response.status_code, response.json()["reason"]) == (403, "forbidden")


def test_an_address_works_once(daemon: DaemonProcess) -> None:
    """The second browser is told to get its own; a look with HEAD does not use it up."""
    address = one_time_address(daemon)
    assert httpx.head(address, timeout=PATIENCE_SECONDS).status_code == 200

    first = httpx.get(address, timeout=PATIENCE_SECONDS)
    second = httpx.get(address, timeout=PATIENCE_SECONDS)

    cookie = first.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    assert second.status_code == 403
    assert "set-cookie" not in second.headers
    assert "used before" in second.text


def test_addresses_are_not_made_on_tcp(daemon: DaemonProcess) -> None:
    """There anybody could ask, but for somebody who can read the secret in the home folder."""
    refused = httpx.post(f"{daemon.url}/v1/inbox", timeout=PATIENCE_SECONDS)
    forged = httpx.post(
        f"{daemon.url}/v1/inbox", json={"nonce": "1", "proof": "1"}, timeout=PATIENCE_SECONDS
    )

    assert refused.status_code == forged.status_code == 403


@pytest.mark.parametrize("by_tcp", [False, True])
def test_the_command_prints_an_address(daemon: DaemonProcess, by_tcp: bool) -> None:
    """By the socket, or by TCP with proof."""
    with CommandLine(daemon) as line:
        result = line.run("inbox", "--print", *(["--url", daemon.url] if by_tcp else []))
    assert result.returncode == 0, result.stderr

    response = httpx.get(result.stdout.strip(), timeout=PATIENCE_SECONDS)

    assert response.status_code == 200
    assert "set-cookie" in response.headers


def test_a_cookie_outlasts_a_restart() -> None:
    """The daemon keeps no list of them."""
    with DaemonProcess() as daemon, Visitor(daemon) as visitor:
        daemon.stop()
        daemon.restart(same_port=True)

        assert "Who is here" in visitor.page("/")


class TestForms:
    def test_need_their_token(self, daemon: DaemonProcess, visitor: Visitor) -> None:
        """A form of another page has the cookie at best."""
        for token in ("", "x"):
            fields = {"to": "form-1", "body": "forged", "token": token}
            assert visitor.post("/inbox/write", fields).status_code == 403

        assert "forged" not in visitor.page("/")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Host": "evil.example"},
        ],
        ids=str,
    )
    def test_of_other_sites_are_refused(self, visitor: Visitor, headers: dict[str, str]) -> None:
        """Even with the right token: by where the browser says that they come from."""
        fields = {**visitor.fields("/inbox/write"), "to": "form-2", "body": "from elsewhere"}

        assert visitor.post("/inbox/write", fields, headers).status_code == 403
        assert "from elsewhere" not in visitor.page("/")

    def test_json_is_no_form(self, visitor: Visitor) -> None:
        """And a form is no REST."""
        fields = visitor.fields("/inbox/write")
        assert visitor.http.post("/inbox/write", json=fields).status_code == 415
        assert visitor.post("/v1/send", fields).status_code == 415


class TestUser:
    """The mailbox of the person."""

    def test_is_closed_on_tcp(self, daemon: DaemonProcess) -> None:
        """For whoever has no cookie: sending, reading and taking as the user."""
        me = {"X-Mailbox": "user"}
        with httpx.Client(base_url=daemon.url, headers=me, timeout=PATIENCE_SECONDS) as client:
            for response in (
                client.post("/v1/send", json={"to": "a", "body": "x"}),
                client.post("/v1/check-inbox?name=user"),
                client.get("/v1/watch?name=user&timeout=0"),
                client.get("/v1/history?name=user"),
                client.get("/v1/list"),
            ):
                assert (response.status_code, response.json()["reason"]) == (403, "forbidden")

    def test_may_send_by_the_command_line(self, daemon: DaemonProcess) -> None:
        """On the Unix socket."""
        with CommandLine(daemon) as line:
            sent = line.run("send", "--from", "user", "--to", "told", "--body", "by the socket")
            assert sent.returncode == 0, sent.stderr
            assert "by the socket" in line.run("check", "--name", "told").stdout

    @pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell who calls")
    @pytest.mark.parametrize(
        "command",
        [
            ("send", "--from", "user", "--to", "peer", "--body", "do it"),
            ("check", "--name", "user"),
            ("held", "release"),
        ],
        ids=lambda command: command[0],
    )
    def test_is_not_that_of_a_session(self, command: tuple[str, ...]) -> None:
        """What a session's client starts, such as a command that its model runs, is not the user."""
        key = client_key_of(os.getpid())
        with DaemonProcess() as daemon, CommandLine(daemon) as line:
            with httpx.Client(base_url=daemon.url) as client:
                session = {"sessionId": "s-1", "name": "shop-1", "client": key}
                client.post("/v1/session", json=session).raise_for_status()
                refused = line.run(*command)
                client.post("/v1/session/end", json=session).raise_for_status()
            assert refused.returncode == 1
            assert "The session 'shop-1' started this" in refused.stderr
            assert line.run(*command).returncode == 0

    def test_is_closed_to_models(self, daemon: DaemonProcess) -> None:
        """MCP does not act for it, on the Unix socket either."""
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "send", "arguments": {"to": "closed", "body": "forged"}},
        }
        headers = {
            "X-Mailbox": "user",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        }
        transport = httpx.HTTPTransport(uds=daemon.socket_path)
        with httpx.Client(transport=transport, base_url="http://localhost", timeout=30) as client:
            answer = client.post("/mcp", json=call, headers=headers)
        assert answer.json()["result"]["isError"]
        assert take(daemon, "closed") == []

    def test_keeps_its_name(self, daemon: DaemonProcess) -> None:
        """It is not renamed, and nobody takes the name, not even in another spelling."""
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS) as client:
            client.get("/v1/list", headers={"X-Mailbox": "x"}).raise_for_status()
            for name in ("user", "User"):
                taken = client.post("/v1/rename", json={"to": name}, headers={"X-Mailbox": "x"})
                assert taken.status_code == 400
        with CommandLine(daemon) as line:
            assert line.run("rename", "--name", "user", "--to", "x").returncode == 1

    def test_mail_that_is_read_there_is_delivered_by_the_inbox(
        self, daemon: DaemonProcess, visitor: Visitor
    ) -> None:
        """And by nothing else: not by other pages, not by the page's own updates."""
        number = send(daemon, "asker", "user", "Shall I?")
        for path in ("/", "/inbox/search?q=Shall", f"/inbox/message?id={number}"):
            visitor.page(path)
        visitor.http.get("/inbox/mailbox?name=user", headers={"X-Inbox-Live": "1"})
        visitor.http.head("/inbox/mailbox?name=user")
        assert "Waits to be delivered" in visitor.page(f"/inbox/message?id={number}")

        assert "Shall I?" in visitor.page("/inbox/mailbox?name=user")

        assert "</b> by inbox" in visitor.page(f"/inbox/message?id={number}")


@pytest.fixture(scope="module")
def anna() -> Iterator[DaemonProcess]:
    """A daemon whose person is called otherwise."""
    with DaemonProcess({"userMailbox": "anna"}) as process:
        yield process


class TestOtherName:
    """The mailbox of the person, if the configuration names another one."""

    def test_the_inbox_writes_from_it(self, anna: DaemonProcess) -> None:
        """Marked as the user's words."""
        with Visitor(anna) as visitor:
            fields = {**visitor.fields("/inbox/write"), "to": "told", "body": "by anna"}
            assert visitor.post("/inbox/write", fields).status_code == 303
        (message,) = take(anna, "told")
        assert (message["from"], message["fromUser"]) == ("anna", True)

    def test_it_is_read_there(self, anna: DaemonProcess) -> None:
        send(anna, "peer", "anna", "for you")
        with Visitor(anna) as visitor:
            assert '<span class="badge">1' in visitor.page("/")
            assert "for you" in visitor.page("/inbox/mailbox?name=anna")
            assert '<span class="badge">1' not in visitor.page("/")

    @pytest.mark.parametrize("name", ["anna", "user"])
    def test_nobody_else_may_send_from_it(self, anna: DaemonProcess, name: str) -> None:
        """Nor by the name that others have for it."""
        with httpx.Client(base_url=anna.url, timeout=PATIENCE_SECONDS) as client:
            sent = client.post(
                "/v1/send", json={"to": "x", "body": "forged"}, headers={"X-Mailbox": name}
            )
            session = client.post("/v1/session", json={"sessionId": "s-1", "name": name})
            client.get("/v1/list", headers={"X-Mailbox": "peer"}).raise_for_status()
            renamed = client.post("/v1/rename", json={"to": name}, headers={"X-Mailbox": "peer"})
        assert (sent.status_code, session.status_code, renamed.status_code) == (403, 400, 400)

    def test_the_command_line_may_use_it(self, anna: DaemonProcess) -> None:
        with CommandLine(anna) as line:
            sent = line.run("send", "--from", "anna", "--to", "by-line", "--body", "x")
            assert sent.returncode == 0, sent.stderr
        assert take(anna, "by-line")[0]["fromUser"] is True

    @pytest.mark.parametrize("name", ["all", "@anna", "a;b"])
    def test_a_name_that_no_mailbox_may_have_stops_the_start(self, name: str) -> None:
        with pytest.raises(
            AssertionError, match="'userMailbox' in the configuration is not a name"
        ):
            DaemonProcess({"userMailbox": name}).__enter__()
