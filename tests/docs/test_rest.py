"""docs/rest.md has every endpoint, parameter, field, status and reason."""

import re
from collections.abc import Mapping

from claude_mailbox.daemon.web import fields
from claude_mailbox.daemon.web.messages import follow
from claude_mailbox.daemon.web.messages import mail as web
from claude_mailbox.model import history, mail, names
from docs.markdown import code_of, table
from docs.pages import MCP, REST
from docs.product import errors, routes, source
from support.daemon import DaemonProcess
from wire.connection import Connection

ENDPOINTS = table(REST, "Endpoint")
ROWS = {
    (method, target.partition("?")[0]): row
    for row, (method, target) in zip(
        ENDPOINTS.rows, (code.split() for code in ENDPOINTS.codes("Endpoint")), strict=True
    )
}


def test_all_endpoints_are_there_and_no_others() -> None:
    """By method and path."""
    assert len(ROWS) == len(ENDPOINTS.rows)
    assert sorted(ROWS) == sorted(route for route in routes() if not route[1].endswith("/"))


def test_a_daemon_answers_them(daemon: DaemonProcess) -> None:
    """None is unknown to it, and each takes one method alone."""
    for method, target in ROWS:
        with Connection(("127.0.0.1", daemon.port)) as connection:
            assert connection.request(method, target).status not in {404, 405, 500}, target
        with Connection(("127.0.0.1", daemon.port)) as connection:
            assert connection.request("PUT", target).status == 405, target


def test_parameters() -> None:
    """Those of the code are in the table, and the reverse."""
    text = " ".join(
        code for row in ENDPOINTS.rows for cell in row.values() for code in code_of(cell)
    )
    written = set(re.findall(r"\b([a-zA-Z]+)=", text))
    read = {
        name
        for module in source("daemon")
        for name in re.findall(r"request\.(?:number|parameter|flag|has)\(\s*\"(\w+)\"", module)
    }

    assert written == read


def shape(value: object) -> str:
    """Return the fields of a JSON object as the page writes them: ``{a, b: {c}}``."""
    if not isinstance(value, Mapping):
        return ""
    inner = ((key, shape(each)) for key, each in value.items())
    return "{" + ", ".join(f"{key}: {fields}" if fields else key for key, fields in inner) + "}"


def test_fields_of_the_answers(daemon: DaemonProcess) -> None:
    """Each answer has the fields that its row says, in that order."""
    session = {"sessionId": "1", "name": "s"}
    with Connection(("127.0.0.1", daemon.port)) as connection:
        for method, target, name, content in (
            ("GET", "/health", None, None),
            ("POST", "/v1/send", "a", {"to": "b", "body": "hello"}),
            ("GET", "/v1/peek?name=b", None, None),
            ("GET", "/v1/list", "b", None),
            ("POST", "/v1/check-inbox?name=b", "b", None),
            ("GET", "/v1/message?id=1", "a", None),
            ("GET", "/v1/history?name=a", "a", None),
            ("POST", "/v1/ack", "b", {"leases": []}),
            ("POST", "/v1/release", "b", {"leases": []}),
            ("POST", "/v1/extend", "b", {"leases": [], "seconds": 9}),
            ("POST", "/v1/rename", "b", {"to": "c"}),
            ("DELETE", "/v1/mailbox?name=c", "c", None),
            ("POST", "/v1/session", None, session),
            ("GET", "/v1/session?id=1", None, None),
            ("POST", "/v1/session/subagent-call", None, {"toolUseId": "1"}),
            ("POST", "/v1/session/end", None, {"sessionId": "1"}),
        ):
            reply = connection.request(method, target, name, content=content)
            assert reply.status == 200, reply
            answer = reply.json()
            first = answer[0] if isinstance(answer, list) else answer
            row = ROWS[method, target.partition("?")[0]]
            assert shape(first) == code_of(row["Answer"])[0]


def test_statuses_and_reasons() -> None:
    """Those of the errors that the daemon raises; but for 500, which is a bug."""
    written = {
        (int(row["Status"]), reason)
        for row in table(REST, "Status", "Reason").rows
        for reason in code_of(row["Reason"])
    }
    text = "\n".join([*source("daemon"), *source("model")])
    raised = {
        (error.status, error.code)
        for error in errors()
        if error.status != 500 and re.search(rf"(?<!class ){error.__name__}\(", text)
    }

    assert written == raised


def test_reasons_in_the_text_exist() -> None:
    """A status that is followed by a reason goes with that reason."""
    known = {(error.status, error.code) for error in errors()}
    written = re.findall(r"\b(4\d\d|5\d\d) `([a-z]+-?[a-z]+)`", REST)

    assert {(int(status), reason) for status, reason in written} <= known
    assert len(written) >= 4


def test_headers() -> None:
    """Every header of ours is on this page or on that of MCP, and no other is."""
    written = set(re.findall(r"X-Mailbox(?:-[A-Z][a-z]+)?\b", REST + MCP))
    read = set(re.findall(r"x-mailbox(?:-[a-z]+)?\b", "\n".join(source("daemon")).lower()))

    assert {name.lower() for name in written} == read


def test_limits() -> None:
    """The numbers in the text are those of the code."""
    low, high = web.LEASE_RANGE
    for sentence in (
        f"A name has 1 to {names.NAME_LIMIT} characters",
        f"`idempotencyKey` (at most {mail.KEY_LIMIT} characters)",
        f"`lease=<seconds>` ({low:.0f} to {high:,.0f})",
        f"at most {fields.TOKENS_LIMIT:,} tokens",
        f"at most {mail.CHECK_LIMIT:,} messages or {mail.CHECK_BYTES >> 20} MiB",
        f"{web.WATCH_DEFAULT:.0f} if you do not say, at most {web.WATCH_LIMIT:.0f}",
        f"last `seconds` ({web.LEASE_DEFAULT:.0f})",
        f"while {follow.WINDOW:,} messages",
        f"every {follow.HEARTBEAT_SECONDS:.0f} seconds",
        f"({history.HISTORY_DEFAULT} if you do not say, at most {history.HISTORY_LIMIT})",
        f"`q=` (at most {history.WORDS_LIMIT} characters)",
    ):
        assert sentence in REST
