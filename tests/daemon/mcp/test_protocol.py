"""The protocol's own side: eras, handshakes, headers, errors, and what it costs a context window."""

import json
import re
from typing import Any

import pytest

import claude_mailbox
from daemon.mcp.rpc import HANDSHAKE, META, MODERN, Rpc
from wire.conftest import Fresh
from wire.mail import Mail

eras = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])
READ_ONLY = {"peek_inbox", "list_mailboxes", "history", "message"}
IDEMPOTENT = {"join", "leave", "describe"}
TOOLS = [
    "send",
    "check_inbox",
    "peek_inbox",
    "list_mailboxes",
    "rename",
    "watch",
    "history",
    "message",
    "join",
    "leave",
    "describe",
]
JSON_OR_EVENTS = "application/json, text/event-stream"


class TestHandshake:
    """``initialize``, up to 2025-11-25."""

    @pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
    def test_the_version_that_was_asked_for_is_negotiated(self, rpc: Rpc, version: str) -> None:
        """It is spoken; no session is begun."""
        params = {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }

        result = rpc.ask("initialize", params, era=version)

        assert result["protocolVersion"] == version
        assert result["serverInfo"] == {
            "name": "claude-mailbox",
            "title": "Mailbox",
            "version": claude_mailbox.__version__,
        }
        assert set(result["capabilities"]) == {"tools", "resources", "prompts"}
        assert "mail" in result["instructions"].lower()

    def test_an_unknown_version_is_answered(self, rpc: Rpc) -> None:
        """The answer names the newest of that era."""
        params = {
            "protocolVersion": "1999-01-01",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }

        assert rpc.ask("initialize", params)["protocolVersion"] == HANDSHAKE

    def test_a_call_needs_no_handshake(self, rpc: Rpc, fresh: Fresh) -> None:
        """There is nothing to set up, so a call may come first: say, after a restart."""
        assert rpc.call("peek_inbox", {"name": fresh("me")})["pending"] == 0

    def test_notifications_are_accepted(self, rpc: Rpc) -> None:
        """202 without a body."""
        rpc.begin("notifications/initialized", number=None)
        reply = rpc.message()

        assert (reply.status, reply.body) == (202, b"")


class TestModern:
    """2026-07-28, without a handshake."""

    def test_discover_tells_the_versions(self, rpc: Rpc) -> None:
        """What the handshake would have told."""
        result = rpc.ask("server/discover", era=MODERN)

        assert MODERN in result["supportedVersions"]
        assert "mail" in result["instructions"].lower()

    def test_headers_must_agree_with_the_body(self, rpc: Rpc, fresh: Fresh) -> None:
        """Who routes by headers must not be lied to; nothing is done."""
        name = fresh("me")
        params = {"name": "send", "arguments": {"from": name, "to": name, "body": "x"}}
        rpc.begin("tools/call", {**params, "name": "peek_inbox"}, era=MODERN)
        rpc.message()

        content = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        reply = rpc.request(
            "POST",
            "/mcp",
            content={**content, "params": {**params, "_meta": META}},
            headers={
                "Accept": JSON_OR_EVENTS,
                "MCP-Protocol-Version": MODERN,
                "Mcp-Method": "tools/call",
                "Mcp-Name": "peek_inbox",
            },
        )

        assert reply.status == 400
        assert rpc.call("peek_inbox", {"name": name})["pending"] == 0

    def test_an_unknown_version_is_answered(self, rpc: Rpc) -> None:
        """An error that lists those that are known."""
        rpc.begin("tools/list", era="2099-01-01")
        reply = rpc.message()

        assert reply.status == 400
        assert "error" in reply.json()


@eras
class TestBothEras:
    """What the eras share."""

    def test_all_tools_are_listed_with_their_hints(self, rpc: Rpc, era: str) -> None:
        """All of them, in a stable order, with honest annotations.

        A hint that is not there has the default of the protocol, which is true for two of them.
        """
        tools = {tool["name"]: tool for tool in rpc.ask("tools/list", era=era)["tools"]}

        assert list(tools) == TOOLS
        for name, tool in tools.items():
            hints = tool["annotations"]
            is_read_only = name in READ_ONLY
            assert hints.get("readOnlyHint", False) is is_read_only
            assert hints.get("openWorldHint", True) is False
            if not is_read_only:
                assert hints.get("destructiveHint", True) is False
                assert hints.get("idempotentHint", False) is (name in IDEMPOTENT)
            schema = tool["inputSchema"]
            assert schema["type"] == "object"
            assert set(schema.get("required", ())) <= set(schema["properties"])

    def test_descriptions_have_the_words_that_people_say(self, rpc: Rpc, era: str) -> None:
        """Clients that load tools on demand look for these words."""
        tools = {tool["name"]: tool for tool in rpc.ask("tools/list", era=era)["tools"]}

        for name, words in (
            ("send", {"mail", "message"}),
            ("check_inbox", {"inbox", "mail"}),
            ("peek_inbox", {"inbox", "mail"}),
            ("watch", {"mail", "message"}),
            ("history", {"mail", "search"}),
            ("message", {"message"}),
        ):
            assert words <= set(re.findall(r"[a-z]+", tools[name]["description"].lower()))

    def test_identity_is_never_required(self, rpc: Rpc, era: str) -> None:
        """It may come from the client's headers."""
        for tool in rpc.ask("tools/list", era=era)["tools"]:
            required = set(tool["inputSchema"].get("required", ()))
            assert not required & {"from", "name", "current_name"}

    def test_schemas_and_instructions_stay_within_their_budget(self, rpc: Rpc, era: str) -> None:
        """Schemas and instructions stay under 5,600 characters, as they are on the wire."""
        rpc.begin("tools/list", era=era)
        tools = len(rpc.message().body)
        params = {
            "protocolVersion": era,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        method = "server/discover" if era == MODERN else "initialize"
        rpc.begin(method, params, era=era)
        welcome = len(rpc.message().body)

        assert tools + welcome < 5600, tools + welcome

    @pytest.mark.parametrize("method", ["resources/templates/list", "no/such/thing"])
    def test_methods_that_are_not_offered_are_not_found(
        self, rpc: Rpc, era: str, method: str
    ) -> None:
        """Method not found, by its number."""
        rpc.begin(method, era=era)

        assert rpc.message().json()["error"]["code"] == -32601

    def test_ids_come_back_as_they_were(self, rpc: Rpc, era: str) -> None:
        """Numbers, texts, and odd ones."""
        for number in (0, -1, 2**53, "a", "1", "žluť", ""):
            rpc.begin("tools/list", era=era, number=number)
            answer = rpc.message().json()["id"]
            assert (answer, type(answer)) == (number, type(number))

    def test_no_answer_begins_a_session(self, rpc: Rpc, era: str, fresh: Fresh) -> None:
        """Not even for a client that brings one along."""
        rpc.begin_call("peek_inbox", {"name": fresh("me")}, era=era, Mcp_Session_Id="made-up")
        reply = rpc.message()

        assert reply.status == 200

    def test_answers_are_plain_json(self, rpc: Rpc, era: str, fresh: Fresh) -> None:
        """Compact, and with their length."""
        name = fresh("me")
        rpc.begin_call("peek_inbox", {"name": name}, era=era)
        reply = rpc.message()

        assert int(reply.headers["content-length"]) == len(reply.body)
        text = json.dumps(reply.json(), separators=(",", ":"))
        assert reply.body == text.encode()

    def test_connecting_with_a_name_registers_the_mailbox(
        self, rpc: Rpc, era: str, mail: Mail, fresh: Fresh
    ) -> None:
        """Who only connects with a name is known from then on."""
        name = fresh("me")
        rpc.begin("tools/list", era=era, X_Mailbox=name)
        rpc.message()

        assert name in mail.rows()


class TestMalformed:
    """What is no JSON-RPC."""

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"{", id="cut off"),
            pytest.param(b"null", id="null"),
            pytest.param(b"[]", id="empty batch"),
            pytest.param(b'"x"', id="string"),
            pytest.param(b"{}", id="empty"),
            pytest.param(b"\xff\xfe", id="no UTF-8"),
            pytest.param(b"[" * 20_000, id="deep"),
            pytest.param(b'{"jsonrpc":"2.0","id":1}', id="no method"),
            pytest.param(b'{"jsonrpc":"1.0","id":1,"method":"ping"}', id="another version"),
            pytest.param(b'{"jsonrpc":"2.0","id":{},"method":"ping"}', id="an id that is none"),
            pytest.param(b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', id="half a pair"),
            pytest.param(b'{"jsonrpc":"2.0","id":1,"method":5}', id="a method that is none"),
            pytest.param(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}', id="long"),
            pytest.param(
                b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}', id="list of params"
            ),
            pytest.param(
                b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}', id="no name"
            ),
        ],
    )
    @eras
    def test_what_is_not_json_rpc_is_refused(self, rpc: Rpc, body: bytes, era: str) -> None:
        """With an answer of the protocol, and the daemon goes on."""
        headers: dict[str, str | bytes] = {
            "Accept": JSON_OR_EVENTS,
            "MCP-Protocol-Version": era,
            "Content-Type": "application/json",
        }

        reply = rpc.request("POST", "/mcp", body=body, headers=headers)

        assert reply.status in {200, 202, 400}, reply
        if reply.status != 202:
            assert "error" in reply.json()
        assert rpc.request("GET", "/health").status == 200

    def test_a_client_that_takes_no_json(self, rpc: Rpc) -> None:
        """406."""
        rpc.begin("tools/list", Accept="text/html")

        assert rpc.message().status == 406


def test_unknown_tools_and_arguments_are_named(rpc: Rpc, fresh: Fresh) -> None:
    """The sentence lists those that there are."""
    tool = rpc.refuse("check_mail", {})
    argument = rpc.refuse("peek_inbox", {"name": fresh("me"), "mailbox": "x"})

    assert all(name in tool for name in TOOLS)
    assert "'mailbox'" in argument
    assert "name" in argument


def test_arguments_may_be_left_out(rpc: Rpc, fresh: Fresh) -> None:
    """A tool that needs none is called with none."""
    name = fresh("me")
    params: dict[str, Any] = {"name": "check_inbox"}

    result = rpc.ask("tools/call", params, X_Mailbox=name)

    assert result["structuredContent"] == {"messages": [], "remaining": 0}
