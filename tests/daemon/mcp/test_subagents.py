"""Subagents share their session's connection, and leave its mail alone."""

import pytest

from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from wire.conftest import Fresh
from wire.mail import Mail

eras = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])
tools = pytest.mark.parametrize("tool", ["check_inbox", "watch"])


@pytest.fixture
def session(mail: Mail, fresh: Fresh) -> str:
    """The id of a session, which is the name of its mailbox, too; one message waits there."""
    name = fresh("session")
    mail.request("POST", "/v1/session", content={"sessionId": name, "name": name, "bell": False})
    mail.send("peer", name, "for the main conversation")
    return name


def note_call(mail: Mail, tool_use_id: str) -> None:
    """Say what the plugin's hook says before a subagent's call."""
    content = {"toolUseId": tool_use_id}
    assert mail.request("POST", "/v1/session/subagent-call", content=content).status == 200


@eras
@tools
def test_a_subagent_cannot_take_its_sessions_mail(
    rpc: Rpc, mail: Mail, session: str, era: str, tool: str
) -> None:
    """Whether the subagent names the mailbox or not; the sentence says how to have mail."""
    for arguments in ({}, {"name": session}):
        note_call(mail, f"toolu {session}")

        sentence = rpc.refuse(
            tool, arguments, era=era, X_Mailbox_Session=session, tool_use_id=f"toolu {session}"
        )

        assert "main conversation" in sentence
        assert f"'{session}/helper'" in sentence
    assert mail.peek(session)["pending"] == 1


@eras
@tools
def test_the_main_conversation_takes_its_mail(
    rpc: Rpc, mail: Mail, session: str, era: str, tool: str
) -> None:
    """Its calls have ids, too."""
    note_call(mail, "another")

    answer = rpc.call(tool, {}, era=era, X_Mailbox_Session=session, tool_use_id="mine")

    message = answer["message"] if tool == "watch" else answer["messages"][0]
    assert message["body"] == "for the main conversation"


@eras
def test_a_subagent_may_have_a_mailbox_of_its_own(
    rpc: Rpc, mail: Mail, session: str, era: str
) -> None:
    """It writes from it, and takes what is answered."""
    own = f"{session}/helper"
    for number in range(2):
        note_call(mail, f"{session} {number}")
    calls = {"era": era, "X_Mailbox_Session": session}

    sent = rpc.call(
        "send", {"to": "peer", "body": "x", "from": own}, tool_use_id=f"{session} 0", **calls
    )
    mail.send("peer", own, "for the subagent")
    answer = rpc.call("check_inbox", {"name": own}, tool_use_id=f"{session} 1", **calls)

    assert sent["from"] == own
    assert [message["body"] for message in answer["messages"]] == ["for the subagent"]
    assert mail.peek(session)["pending"] == 1


@eras
def test_a_subagent_may_send_and_peek_for_its_session(
    rpc: Rpc, mail: Mail, session: str, era: str
) -> None:
    """Nothing is lost by writing, or looking."""
    note_call(mail, session)
    calls = {"era": era, "X_Mailbox_Session": session, "tool_use_id": session}

    assert rpc.call("send", {"to": "peer", "body": "x"}, **calls)["from"] == session
    assert rpc.call("peek_inbox", {}, **calls)["pending"] == 1


@eras
@pytest.mark.parametrize("tool_use_id", [5, [], {}, ""])
def test_malformed_call_ids_are_ignored(
    rpc: Rpc, session: str, era: str, tool_use_id: object
) -> None:
    """They tell nothing."""
    answer = rpc.call(
        "check_inbox", {}, era=era, X_Mailbox_Session=session, tool_use_id=tool_use_id
    )

    assert len(answer["messages"]) == 1


def test_a_hook_without_a_call_id_is_refused(mail: Mail) -> None:
    """The hook's mistake is answered as such."""
    reply = mail.request("POST", "/v1/session/subagent-call", content={})

    assert "'toolUseId'" in reply.error(400, "bad-request")


def test_a_thousand_calls_are_remembered(rpc: Rpc, mail: Mail, session: str) -> None:
    """As many as may be under way at once, and no end of them."""
    note_call(mail, session)
    for number in range(999):
        note_call(mail, f"{session} {number}")
    calls = {"X_Mailbox_Session": session, "tool_use_id": session}
    assert "subagent" in rpc.refuse("check_inbox", {}, **calls)

    note_call(mail, f"{session} 999")

    assert len(rpc.call("check_inbox", {}, **calls)["messages"]) == 1
