"""Arguments as models and clients really send them."""

from typing import Any

import pytest

from daemon.mcp.rpc import Rpc
from wire.conftest import Fresh
from wire.mail import Mail


@pytest.mark.parametrize("timeout", [0, "0", " 0 ", "0.0", "-1", "1e-3"])
def test_numbers_may_be_text(rpc: Rpc, fresh: Fresh, timeout: object) -> None:
    """What reads as a number is one."""
    assert rpc.call("watch", {"name": fresh("me"), "timeout": timeout}) == {"message": None}


def test_whole_numbers_may_be_text_or_have_a_point(rpc: Rpc, mail: Mail, fresh: Fresh) -> None:
    """As long as they are whole."""
    name = fresh("me")
    for number in range(3):
        mail.send("sender", name, str(number))

    answers = [rpc.call("check_inbox", {"name": name, "limit": limit}) for limit in ("1", 1.0)]

    assert [len(answer["messages"]) for answer in answers] == [1, 1]


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_text_count_as_not_given(
    rpc: Rpc, mail: Mail, fresh: Fresh, nothing: object
) -> None:
    """In every argument that may be left out."""
    name = fresh("me")
    mail.send("sender", name)
    nothings = dict.fromkeys(("name", "limit", "max_chars", "part"), nothing)

    taken = rpc.call("check_inbox", nothings, X_Mailbox=name)
    mail.send("sender", name)
    watched = rpc.call("watch", {"name": nothing, "timeout": nothing}, X_Mailbox=name)
    sent = rpc.call("send", {"to": "x", "body": "y", "from": nothing}, X_Mailbox=name)
    nothings = dict.fromkeys(("query", "with", "thread", "before", "name"), nothing)
    history = rpc.call("history", nothings, X_Mailbox=name)

    assert len(taken["messages"]) == 1
    assert watched["message"] is not None
    assert sent["from"] == name
    assert len(history["messages"]) == 3


def test_text_may_be_a_number(rpc: Rpc, mail: Mail) -> None:
    """A mailbox is called 42 as well as "42", and a message may say no more than that."""
    sent = rpc.call("send", {"to": 42, "body": 7, "from": 41})

    assert (sent["to"], sent["from"]) == ("42", "41")
    assert rpc.call("check_inbox", {"name": 42})["messages"][0]["body"] == "7"


@pytest.mark.parametrize(
    "key", ["toolCallId", "sessionId", "action", "chatInput", "wait_for_previous"]
)
def test_arguments_that_clients_add_are_ignored(rpc: Rpc, fresh: Fresh, key: str) -> None:
    """n8n and Gemini CLI do that to every tool."""
    answer = rpc.call("check_inbox", {"name": fresh("me"), key: "x"})

    assert answer == {"messages": [], "remaining": 0}


@pytest.mark.parametrize(
    "timeout", ["soon", "1 s", "1_0", "\u0661", True, [], {}, float("nan"), "nan"]
)
def test_a_timeout_that_is_not_a_number_is_refused(rpc: Rpc, fresh: Fresh, timeout: object) -> None:
    """The sentence names the argument."""
    assert "'timeout'" in rpc.refuse("watch", {"name": fresh("me"), "timeout": timeout})


@pytest.mark.parametrize("value", [True, 1.5, 10**30, [], {}, "a\0b", "x" * 129, "\u202e"])
def test_malformed_names_are_refused(rpc: Rpc, value: object) -> None:
    """In every tool, the sentence names the argument."""
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("send", "from", {"to": "x", "body": "y"}),
        ("check_inbox", "name", {}),
        ("peek_inbox", "name", {}),
        ("list_mailboxes", "name", {}),
        ("rename", "current_name", {"new_name": "x"}),
        ("rename", "new_name", {"current_name": "x"}),
        ("watch", "name", {}),
        ("history", "name", {}),
        ("history", "with", {"name": "x"}),
        ("message", "name", {"id": 1}),
    )
    for tool, argument, more in calls:
        assert f"'{argument}'" in rpc.refuse(tool, {**more, argument: value})
