"""The daemon's REST API for clients: requests as methods, refusals as errors."""

from claude_mailbox.client import codec
from claude_mailbox.client.reach.address import (
    Address,
    configured_tcp,
    explicit_address,
    own_socket,
)
from claude_mailbox.client.reach.connection import Connection, ConnectionLost, WrongServer
from claude_mailbox.client.reach.http1 import Response, quote
from claude_mailbox.client.reach.own_daemon import connect_own
from claude_mailbox.errors import DaemonUnreachable, InvalidName, MailboxError, ShuttingDown

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs 3 ms
    from typing import TypeVar

    T = TypeVar("T")

# Length of the lease on a message that we print.
LEASE_SECONDS = 60
# The daemon usually answers in milliseconds; a slow disk can make it wait.
ANSWER_SECONDS = 30.0
# The daemon accepts twice as many leases in one request.
_LEASES_PER_REQUEST = 5000


class Refused(MailboxError):
    """The daemon answered with an error, whose sentence this is.

    Attributes:
        fields: all fields of the error, such as ``to`` of a renamed mailbox.
    """

    def __init__(self, status: int, fields: dict[str, object]) -> None:
        super().__init__(str(fields["error"]))
        self.status = status
        self.code = str(fields.get("reason", "error"))
        self.fields = fields


class Stopping(DaemonUnreachable):
    """The daemon says that it is stopping; the request may have been handled."""


class Delivery:
    """One message, leased to us.

    Attributes:
        id: number of the message.
        sender: mailbox that sent it.
        body: its text.
        sent_at: when it was sent, as ISO 8601.
        attempts: how often it was handed out, this time included.
        lease: token that acks or releases it.
        fields: all fields from the daemon but the lease.

    Raises:
        KeyError, TypeError: if *fields* are not those of a leased message.
    """

    __slots__ = ("attempts", "body", "fields", "id", "lease", "sender", "sent_at")

    def __init__(self, fields: dict[str, object]) -> None:
        self.id: int = _typed(fields["id"], int)
        self.sender: str = _typed(fields["from"], str)
        self.body: str = _typed(fields["body"], str)
        self.sent_at: str = _typed(fields["sentAt"], str)
        self.attempts: int = _typed(fields["attempts"], int)
        self.lease: str = _typed(fields.pop("lease"), str)
        self.fields = fields


def _typed(value: object, kind: "type[T]") -> "T":
    if type(value) is not kind:
        raise TypeError
    return value


class Identity:
    """Who makes a request: a mailbox by its name, or the mailbox of a session.

    Attributes:
        headers: the headers that carry the identity.
        query: the query parameters that routes about one mailbox want as well, if any.

    Raises:
        InvalidName: if the name cannot be sent.
    """

    __slots__ = ("headers", "query")

    def __init__(self, name: str | None = None, session: str | None = None) -> None:
        value = (name if name is not None else session or "").strip()
        what = "name of the mailbox" if name is not None else "session id"
        if not value:
            raise InvalidName(f"The {what} is empty.")
        if any(c < " " or "\x7f" <= c < "\xa0" for c in value):
            raise InvalidName(f"The {what} has a control character: leave it out.")
        try:
            self.query = [f"name={quote(value)}"] if name is not None else []
        except UnicodeEncodeError:
            raise InvalidName(f"The {what} is not valid Unicode.") from None
        self.headers = [("X-Mailbox" if name is not None else "X-Mailbox-Session", value)]


class Result:
    """A successful response: its status, its headers by lower-case name, its JSON value."""

    __slots__ = ("headers", "status", "value")

    def __init__(self, response: Response, value: object) -> None:
        self.status = response.status
        self.headers = response.headers
        self.value = value


class Daemon:
    """A daemon, reached over one connection that is kept open between requests.

    Every method that asks the daemon raises `DaemonUnreachable` if nobody answers, and `Refused`
    if the daemon answers with an error.
    """

    def __init__(self, url: str | None = None, *, seconds: float = ANSWER_SECONDS) -> None:
        self._given = explicit_address(url)
        own_socket()  # raises for a home folder that cannot be
        self._seconds = seconds
        self._connection: Connection | None = None

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """Where the daemon is connected, or the address that is to be tried."""
        if self._connection is not None:
            return self._connection.address
        return self._given or own_socket() or configured_tcp()

    def connect(self) -> Connection:
        """Return an open connection, the present one if it still works."""
        if self._connection is not None:
            if not self._connection.is_stale:
                return self._connection
            self.close()
        if self._given is None:
            self._connection = connect_own(self._seconds)
        else:
            token = None
            if self._given.path is None:
                from claude_mailbox.client.reach.token import token_for

                token = token_for(self._given)
            self._connection = Connection(self._given, seconds=self._seconds, token=token)
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(
        self,
        method: str,
        path: str,
        *,
        identity: Identity | None = None,
        query: tuple[str, ...] = (),
        body: object = None,
        seconds: float | None = None,
        is_repeatable: bool = False,
    ) -> Result:
        """Send one request and return its result.

        Args:
            method: HTTP method.
            path: path of the route.
            identity: who makes the request.
            query: parameters such as ``limit=5``, percent-encoded.
            body: JSON value to send.
            seconds: how long to wait for the response.
            is_repeatable: whether the daemon may get the request twice. It is sent a second time
                when the connection ends before the response.
        """
        target = _target(path, query)
        headers = identity.headers if identity else []
        try:
            data = None if body is None else codec.encode(body).encode()
        except UnicodeEncodeError:
            raise MailboxError("The text is not valid Unicode: send it as UTF-8.") from None
        attempts = 2 if is_repeatable else 1
        while True:
            attempts -= 1
            connection = self.connect()
            try:
                response = connection.request(
                    method, target, headers, data, seconds=seconds or self._seconds
                )
                return self._result(response)
            except ConnectionLost:
                if not attempts:
                    raise

    def stream(self, path: str, *, identity: Identity, query: tuple[str, ...] = ()) -> Connection:
        """Send a GET and return its connection, from which the chunked body can be read.

        The caller owns the connection and closes it.
        """
        connection = self.connect()
        self._connection = None
        try:
            target = _target(path, query)
            response = connection.open("GET", target, identity.headers, seconds=self._seconds)
            if response.status != 200 or "transfer-encoding" not in response.headers:
                connection.read_body(response, seconds=self._seconds)
                self._result(response)
                raise self.wrong_server()
        except BaseException:
            connection.close()
            raise
        return connection

    def health(self, seconds: float | None = None) -> dict[str, object]:
        """Return what ``/health`` answers."""
        value = self.call("GET", "/health", seconds=seconds, is_repeatable=True).value
        if not isinstance(value, dict) or value.get("status") != "ok" or "version" not in value:
            raise self.wrong_server()
        return value

    def claim(
        self, identity: Identity, limit: int | None = None, max_chars: int | None = None
    ) -> tuple[list[Delivery], int]:
        """Lease waiting messages, oldest first; return them and how many more wait."""
        query = [*identity.query, f"lease={LEASE_SECONDS}"]
        if limit is not None:
            query.append(f"limit={limit}")
        if max_chars is not None:
            query.append(f"maxChars={max_chars}")
        result = self.call("POST", "/v1/check-inbox", identity=identity, query=tuple(query))
        if not isinstance(result.value, list):
            raise self.wrong_server()
        pending = result.headers.get("x-mailbox-pending", "0")
        deliveries = [self.parse_delivery(value) for value in result.value]
        return deliveries, int(pending) if pending.isdigit() else 0

    def parse_delivery(self, value: object) -> Delivery:
        """Return the leased message that *value*, from this daemon, describes."""
        try:
            return Delivery(value)  # type: ignore[arg-type]  # a wrong type raises, as handled here
        except (KeyError, TypeError):
            raise self.wrong_server() from None

    def ack(self, leases: list[str], identity: Identity | None = None) -> list[str]:
        """Confirm that messages were delivered; return the leases that had ended before."""
        return self._end_leases("/v1/ack", leases, identity)

    def release(self, leases: list[str], identity: Identity | None = None) -> None:
        """Put messages back. If that fails, the daemon does so when the lease expires."""
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._end_leases("/v1/release", leases, identity)
        except MailboxError:
            pass

    def wrong_server(self) -> WrongServer:
        """Close the connection, and return the error for a response that no daemon sends."""
        place = self.address
        self.close()
        return WrongServer(
            f"The server at {place} is not claude-mailbox: see 'claude-mailbox doctor'."
        )

    def _end_leases(self, path: str, leases: list[str], identity: Identity | None) -> list[str]:
        lost: list[str] = []
        for start in range(0, len(leases), _LEASES_PER_REQUEST):
            body = {"leases": leases[start : start + _LEASES_PER_REQUEST]}
            value = self.call("POST", path, identity=identity, body=body, is_repeatable=True).value
            if isinstance(value, dict) and isinstance(value.get("lost"), list):
                lost += value["lost"]
        return lost

    def _result(self, response: Response) -> Result:
        """Decode a response, or raise the error that it stands for."""
        if response.status == 204:
            return Result(response, None)
        try:
            value = codec.decode(response.body)
        except ValueError:
            raise self.wrong_server() from None
        if 200 <= response.status < 300:
            return Result(response, value)
        if not isinstance(value, dict) or not isinstance(value.get("error"), str):
            raise self.wrong_server()
        if response.status == 503 and value.get("reason") == ShuttingDown.code:
            place = self.address
            self.close()
            raise Stopping(f"The daemon at {place} is shutting down: try again.")
        raise Refused(response.status, value)


def _target(path: str, query: tuple[str, ...]) -> str:
    return f"{path}?{'&'.join(query)}" if query else path
