"""Tool calls with arguments made at random: always an answer, never a surprise."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from support.daemon import DaemonProcess

# A long run, elsewhere each time, on demand; see tests/property/conftest.py.
IS_SEARCH = os.environ.get("MAILBOX_HYPOTHESIS") == "search"

names = st.sampled_from(["ann", "bob", "cid", " ann ", "žofie"]) | st.text(max_size=130)
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 10**400])
scalars = st.none() | st.booleans() | numbers | names
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
arguments = st.fixed_dictionaries(
    # Whoever watches without mail waits; that is not what is looked for here.
    {"timeout": st.sampled_from([0, -1, "0", None, [], float("nan")])},
    optional={
        "name": names | values,
        "from": names | values,
        "to": names | values,
        "body": st.text(min_size=1, max_size=50) | values,
        "current_name": names | values,
        "new_name": names | values,
        "query": st.text(max_size=20) | values,
        "with": names | values,
        "thread": st.integers() | values,
        "before": st.integers() | values,
        "id": st.integers() | values,
        "limit": numbers | values,
        "max_chars": numbers | values,
        "part": numbers | values,
        "more": values,
    },
)
FIELDS = {
    "send": {"from", "to", "body"},
    "check_inbox": {"name", "limit", "max_chars", "part"},
    "peek_inbox": {"name"},
    "list_mailboxes": {"name"},
    "rename": {"current_name", "new_name"},
    "watch": {"name", "timeout"},
    "history": {"query", "with", "thread", "before", "name"},
    "message": {"id", "name"},
}


@settings(
    max_examples=2000 if IS_SEARCH else 150,
    derandomize=not IS_SEARCH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    era=st.sampled_from([HANDSHAKE, MODERN]),
    tool=st.sampled_from([*FIELDS, "no_such_tool"]),
    given_arguments=arguments,
    is_fitting=st.booleans(),
    caller=st.none() | st.sampled_from(["ann", "bob", "x" * 129]),
)
def test_any_call_is_answered(
    daemon: DaemonProcess,
    era: str,
    tool: str,
    given_arguments: dict[str, Any],
    is_fitting: bool,
    caller: str | None,
) -> None:
    """With content or with a sentence, by the protocol's rules."""
    if is_fitting:
        fields = FIELDS.get(tool, set())
        given_arguments = {key: given_arguments[key] for key in given_arguments if key in fields}
        if tool == "watch":
            given_arguments.setdefault("timeout", 0)
    elif tool == "watch":
        given_arguments = {"timeout": 0, **given_arguments}
    headers = {"X_Mailbox": caller} if caller is not None else {}
    with Rpc(("127.0.0.1", daemon.port)) as rpc:
        rpc.begin_call(tool, given_arguments, era=era, **headers)
        reply = rpc.message()

    assert reply.status in {200, 400}, reply
    answer = reply.json()
    if "error" in answer:
        # Not even the protocol's own schema admits it: a number too large, half a pair.
        assert answer["error"]["code"] in {-32600, -32602, -32700}
        return
    result = answer["result"]
    (block,) = result["content"]
    if result.get("isError"):
        assert "bug" not in block["text"]
        assert block["text"].endswith((".", "!"))
    else:
        assert isinstance(result["structuredContent"], dict)


@pytest.mark.parametrize("era", [HANDSHAKE, MODERN])
def test_deeply_nested_arguments_are_answered(daemon: DaemonProcess, era: str) -> None:
    """Lists in lists in lists are refused, not followed to their end."""
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    with Rpc(("127.0.0.1", daemon.port)) as rpc:
        rpc.begin_call("peek_inbox", {"name": deep}, era=era)

        assert rpc.message().status in {200, 400}
    with Rpc(("127.0.0.1", daemon.port)) as rpc:
        assert rpc.request("GET", "/health").status == 200
