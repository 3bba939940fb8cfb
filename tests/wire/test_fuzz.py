"""Requests made at random from the contract's own words: always an answer, and a clear one."""

import json
import os
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wire.connection import Address, Connection

ROUTES = [
    ("GET", "/health"),
    ("POST", "/v1/send"),
    ("GET", "/v1/peek"),
    ("POST", "/v1/check-inbox"),
    ("GET", "/v1/watch"),
    ("POST", "/v1/ack"),
    ("POST", "/v1/release"),
    ("POST", "/v1/extend"),
    ("GET", "/v1/list"),
    ("POST", "/v1/rename"),
    ("DELETE", "/v1/mailbox"),
    ("POST", "/v1/session"),
    ("POST", "/v1/session/end"),
    ("GET", "/v1/session"),
    ("POST", "/mcp"),
]
# A long run, elsewhere each time, on demand; see tests/property/conftest.py.
IS_SEARCH = os.environ.get("MAILBOX_HYPOTHESIS") == "search"
STATUSES = {200, 202, 204, 400, 403, 404, 405, 406, 409, 413, 415, 429}

# Few names, so that requests have to do with each other; and some that are none.
names = st.one_of(
    st.sampled_from(["ann", "bob", "cid", " ann ", "žofie", "日本"]),
    st.text(max_size=130),
)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, 60, 3600, 3601, -1, 10**30]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, names)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
tokens = st.lists(
    st.sampled_from(["1-abc", "2-abc", "x", "", "1-"]) | st.text(max_size=9), max_size=4
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "to": names | values,
        "body": st.text(min_size=1, max_size=50) | values,
        "idempotencyKey": st.sampled_from(["k", "l"]) | values,
        "leases": tokens | values,
        "seconds": numbers | values,
        "sessionId": st.sampled_from(["0123456789abcdef", "fedcba98"]) | values,
        "name": names | values,
        "source": st.sampled_from(["startup", "clear"]) | values,
        "client": values,
        "bell": values,
        "reason": values,
    },
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "name": names,
        "limit": numbers.map(str) | st.text(max_size=9),
        "lease": numbers.map(str) | st.text(max_size=9),
        "maxChars": numbers.map(str) | st.text(max_size=9),
        "id": names,
        "client": st.text(max_size=9),
    },
)


def spell(text: str) -> str:
    """Return a query's spelling of any text, half surrogate pairs included."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def header(text: str) -> bytes | None:
    """Return a header's value for any text, or None where HTTP has none."""
    value = text.encode("utf-8", "surrogatepass")
    return None if any(byte in b"\0\r\n" for byte in value) else value


@settings(
    max_examples=2000 if IS_SEARCH else 150,
    derandomize=not IS_SEARCH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    route=st.sampled_from(ROUTES),
    other_method=st.sampled_from([""] * 9 + ["PUT", "GET", "POST", "DELETE", "PATCH"]),
    query=parameters,
    caller=st.none() | names,
    content=fields | values,
    has_body=st.booleans(),
    is_escaped=st.booleans(),
)
def test_any_request_is_answered(
    address: Address,
    route: tuple[str, str],
    other_method: str,
    query: dict[str, str],
    caller: str | None,
    content: Any,
    has_body: bool,
    is_escaped: bool,
) -> None:
    """With a status of the contract and, when it is an error, a sentence and a reason."""
    method, target = route
    method = other_method or method
    # Whoever watches without mail waits; that is not what is looked for here.
    pairs = [f"{key}={spell(value)}" for key, value in query.items()] + ["timeout=0"]
    headers: dict[str, str | bytes] = {}
    if target == "/mcp":
        headers["Accept"] = "application/json, text/event-stream"
    if caller is not None and (value := header(caller)) is not None:
        headers["X-Mailbox"] = value
    body = None
    if has_body:
        body = json.dumps(content, ensure_ascii=is_escaped).encode("utf-8", "surrogatepass")
    with Connection(address) as connection:
        reply = connection.request(
            method, f"{target}?{'&'.join(pairs)}", headers=headers, body=body
        )

    assert reply.status in STATUSES, reply
    # What is not even HTTP is refused before us, without a sentence.
    if reply.status >= 400 and target != "/mcp" and reply.body:
        answer = reply.json()
        assert set(answer) >= {"error", "reason"}
        assert set(answer["reason"]) <= {*string.ascii_lowercase, "-"}
        assert answer["error"][-1] in ".!"


BODY = b'{"to":"bob","body":"x"}'
POST = b"POST /v1/send HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: ann\r\n"
WHOLE = [
    POST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    POST
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY)
    + BODY
    + b"\r\n0\r\n\r\n",
    b"GET /v1/watch?name=ann&timeout=0 HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: ann\r\n\r\n",
    b"GET /v1/follow?name=bob HTTP/1.1\r\nHost: localhost\r\nX-Mailbox: bob\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]
PIECES = [
    *WHOLE,
    *[request[:cut] for request in WHOLE for cut in (3, 17, 40, 70, 110)],
    *b"\r\n \t:%?=\0\xff".split(b" "),
    b"\r\n\r\n",
    b"HTTP/1.0\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
]


@settings(
    max_examples=2000 if IS_SEARCH else 150,
    derandomize=not IS_SEARCH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=9), min_size=1, max_size=6),
    cut=st.integers(0, 300),
    leave=st.sampled_from([Connection.close, Connection.close_half, Connection.reset]),
)
def test_any_bytes_are_survived(
    address: Address, pieces: list[bytes], cut: int, leave: Callable[[Connection], None]
) -> None:
    """The connection ends when its client leaves; nothing is logged, and nobody else notices."""
    data = b"".join(pieces)
    with Connection(address) as connection:
        try:
            connection.write(data[:cut])
            connection.write(data[cut:])
            leave(connection)
        except OSError:
            return  # refused before all of it was sent
        if leave is Connection.close_half:
            connection.read_to_end()
    with Connection(address) as connection:
        assert connection.request("GET", "/health").status == 200
