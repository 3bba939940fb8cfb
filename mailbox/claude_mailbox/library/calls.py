"""The requests of both libraries, and how their answers are read."""

import json
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import httpx

from claude_mailbox.client.reach.api import Refused
from claude_mailbox.errors import DaemonUnreachable
from claude_mailbox.library.values import HistoryEntry, MessageFields, Receipt

T = TypeVar("T")
Fields = Mapping[str, Any]

WATCH_SECONDS = 25.0
ASK_SECONDS = 300.0
# How long a question stays open: the longest that the daemon allows.
OPEN_SECONDS = 24 * 3600.0
LEASE_SECONDS = 60.0
# What a long-poll's answer may take beyond the time that it waits for.
_MARGIN_SECONDS = 10.0


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how to read its answer.

    Attributes:
        method: HTTP method.
        path: path of the route.
        read: returns what the answer's JSON says; it is None for a 204.
        query: parameters; those that are None are left out.
        body: JSON of the request; fields that are None are left out.
        is_own: whether the route wants the mailbox as a parameter, too.
        is_repeatable: whether the daemon may get it twice.
        wait: how many seconds the daemon may wait before it answers.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    query: Fields = field(default_factory=dict)
    body: Fields | None = None
    is_own: bool = False
    is_repeatable: bool = False
    wait: float | None = None

    def arguments(self, name: str, seconds: float) -> dict[str, Any]:
        """Return the arguments of httpx's ``request``.

        Args:
            name: the mailbox.
            seconds: how long to wait for an answer.
        """
        query = {key: value for key, value in self.query.items() if value is not None}
        if self.is_own:
            query["name"] = name
        arguments: dict[str, Any] = {"method": self.method, "url": self.path, "params": query}
        if self.body is not None:
            arguments["json"] = {k: v for k, v in self.body.items() if v is not None}
        patience = seconds if self.wait is None else self.wait + _MARGIN_SECONDS
        arguments["timeout"] = httpx.Timeout(seconds, read=patience)
        return arguments


def content_of(response: httpx.Response) -> Any:
    """Return the JSON of an answer, or None for a 204.

    Raises:
        Refused: if it is an error of the daemon's.
        DaemonUnreachable: if it is not from a daemon.
    """
    if response.status_code == httpx.codes.NO_CONTENT:
        return None
    try:
        content = json.loads(response.content)
    except ValueError:
        content = None
    if response.is_success and content is not None:
        return content
    if isinstance(content, dict) and isinstance(content.get("error"), str):
        raise Refused(response.status_code, content)
    raise DaemonUnreachable(f"The server at {response.url} is not claude-mailbox.")


def unreachable(error: httpx.TransportError) -> DaemonUnreachable:
    """Return the error for a connection that broke, or could not be made."""
    reason = str(error) or type(error).__name__
    url = error.request.url
    if url.scheme != "https":
        return DaemonUnreachable(
            f"The daemon does not answer ({reason}): start it with 'claude-mailbox start'."
        )
    server = f"https://{url.netloc.decode('ascii')}"
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return DaemonUnreachable(f"The daemon at {server} does not answer ({reason}).")
    return DaemonUnreachable(
        f"The certificate of {server} cannot be trusted ({cause.verify_message}): name the file of"
        " its authority in CLAUDE_MAILBOX_CA, or give 'verify'."
    )


def send(to: str | None, body: str, key: str | None, **fields: Any) -> Call[Receipt]:
    """Return the call that sends a message; one without a key gets one, so that it can be repeated."""
    content = {"to": to, "body": body, "idempotencyKey": key or uuid.uuid4().hex, **fields}
    return Call("POST", "/v1/send", Receipt.of, body=content, is_repeatable=True)


def ask(
    read: Callable[[Fields], T], to: str, body: str, timeout: float, within: float
) -> Call[T | None]:
    """Return the call that asks a question and waits for what ends it: the answer, or a notice."""

    def ended(found: Fields) -> T | None:
        message = found["answer"] or found.get("notice")
        return None if message is None else read(message)

    return Call(
        "POST",
        "/v1/send",
        ended,
        query={"wait": timeout, "lease": LEASE_SECONDS},
        body={"to": to, "body": body, "ask": within, "idempotencyKey": uuid.uuid4().hex},
        is_repeatable=True,
        wait=timeout,
    )


def check(read: Callable[[Fields], T], limit: int | None, lease: float) -> Call[list[T]]:
    """Return the call that takes waiting mail."""
    query = {"limit": limit, "lease": lease}
    return Call(
        "POST",
        "/v1/check-inbox",
        lambda found: [read(each) for each in found],
        query=query,
        is_own=True,
    )


def watch(read: Callable[[Fields], T], timeout: float, lease: float) -> Call[T | None]:
    """Return the call that waits for one message."""
    return Call(
        "GET",
        "/v1/watch",
        lambda found: None if found is None else read(found),
        query={"timeout": timeout, "lease": lease},
        is_own=True,
        wait=timeout,
    )


def end_leases(
    verb: str, messages: Sequence[MessageFields], seconds: float | None = None
) -> Call[list[int]]:
    """Return the call that acks, releases or extends leases; its result: those that had ended."""

    def lost(found: Fields) -> list[int]:
        return [message.id for message in messages if message.lease in found["lost"]]

    body = {"leases": [message.lease for message in messages], "seconds": seconds}
    return Call("POST", f"/v1/{verb}", lost, body=body, is_repeatable=True)


def give_back(leases: Sequence[str]) -> Call[None]:
    """Return the call that releases leases, whether they have ended before or not."""
    body = {"leases": leases}
    return Call("POST", "/v1/release", lambda _: None, body=body, is_repeatable=True)


def rename(name: str) -> Call[str]:
    """Return the call that renames the mailbox; its result: the new name."""
    return Call("POST", "/v1/rename", lambda found: str(found["to"]), body={"to": name})


def membership(verb: str, group: str) -> Call[list[str]]:
    """Return the call that joins or leaves a group; its result: the members."""
    return Call(
        "POST", f"/v1/groups/{verb}", lambda found: list(found["members"]), body={"group": group}
    )


def history(
    words: str | None,
    peer: str | None,
    thread: int | None,
    since: datetime | None,
    before: int | None,
    limit: int | None,
) -> Call[Sequence[HistoryEntry]]:
    """Return the call that reads what the mailbox sent and got."""
    query = {
        "q": words,
        "with": peer,
        "thread": thread,
        "since": None if since is None else since.astimezone().isoformat(),
        "before": before,
        "limit": limit,
    }
    return Call(
        "GET",
        "/v1/history",
        lambda found: [HistoryEntry.of(each) for each in found],
        query=query,
        is_own=True,
        is_repeatable=True,
    )
