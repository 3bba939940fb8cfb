"""The daemon as seen from outside: its REST verbs as methods, its refusals as errors."""

from claude_mailbox.client import codec
from claude_mailbox.client.reach import address
from claude_mailbox.client.reach.connection import Connection, ConnectionLost, NotOurs
from claude_mailbox.client.reach.http1 import Answer, quote
from claude_mailbox.errors import DaemonUnreachable, InvalidName, MailboxError, ShuttingDown

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs 3 ms
    from typing import TypeVar

    T = TypeVar("T")

# How long a claimed message stays ours while we print it.
LEASE_SECONDS = 60
# A daemon that hears us answers in milliseconds; a busy disk may make it wait.
ANSWER_SECONDS = 30.0

# More than that the daemon does not take in one go; half of its limit.
_TOKENS_LIMIT = 5000


class Refused(MailboxError):
    """The daemon said no; the sentence is its own.

    Attributes:
        answer: the fields of the error, such as ``to`` of a renamed mailbox.
    """

    def __init__(self, status: int, answer: dict[str, object]) -> None:
        super().__init__(str(answer["error"]))
        self.status = status
        self.code = str(answer.get("reason", "error"))
        self.answer = answer


class Mail:
    """One message, leased to us.

    Attributes:
        id: its number.
        sender: who sent it.
        body: its text.
        sent_at: when, as ISO 8601.
        attempts: how often it was handed out, this time included.
        lease: the token that settles it.
        fields: all that the daemon said, without the lease.

    Raises:
        KeyError, TypeError: if *fields* is no such message.
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
    """Who asks: a mailbox by its name, or the mailbox of a session.

    Attributes:
        headers: what says so in a request.
        query: the parameter that the routes about one mailbox want besides, if any.

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


class Reply:
    """A successful answer: its status, its headers by lower-case name, its JSON value."""

    __slots__ = ("body", "headers", "status", "value")

    def __init__(self, answer: Answer, value: object) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.body
        self.value = value


class Daemon:
    """A daemon, reached over one connection that is kept between calls.

    As a context manager it closes that at the end.

    Every method raises `DaemonUnreachable` when nobody answers, and `Refused` when the daemon
    says no.
    """

    def __init__(
        self, url: str | None = None, *, seconds: float = ANSWER_SECONDS, private: bool = False
    ) -> None:
        self._candidates = address.candidates(url, private=private)
        self._seconds = seconds
        self._connection: Connection | None = None

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> address.Address:
        """Where the daemon answered last, or where it is looked for first."""
        return self._connection.address if self._connection else self._candidates[0]

    def connect(self) -> Connection:
        """Return an open connection, the kept one if it still is."""
        if self._connection is not None:
            if not self._connection.is_stale:
                return self._connection
            self.close()
        failure: DaemonUnreachable | None = None
        for candidate in self._candidates:
            try:
                self._connection = Connection(candidate)
            except DaemonUnreachable as error:
                failure = failure or error
            else:
                return self._connection
        raise failure or DaemonUnreachable("The daemon has no address.")

    def close(self) -> None:
        """Close the kept connection."""
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
    ) -> Reply:
        """Send one request and return the answer.

        Args:
            method: HTTP method.
            path: path of the route.
            identity: who asks; it goes into the header.
            query: parameters, as ``limit=5``, already percent-encoded.
            body: JSON value to send.
            seconds: how long to wait for the answer.
            is_repeatable: whether it does no harm when the daemon gets it twice. Such a request
                is sent once more when its connection ends before the answer.

        Raises:
            DaemonUnreachable, Refused: see the class.
        """
        target = _target(path, query)
        headers = identity.headers if identity else []
        try:
            data = None if body is None else codec.encode(body).encode()
        except UnicodeEncodeError:
            raise MailboxError("The text is not valid Unicode: send it as UTF-8.") from None
        left = 2 if is_repeatable else 1
        while True:
            left -= 1
            connection = self.connect()
            try:
                answer = connection.request(
                    method, target, headers, data, seconds=seconds or self._seconds
                )
                return self._read(answer)
            except ConnectionLost:
                if not left:
                    raise

    def stream(self, path: str, *, identity: Identity, query: tuple[str, ...] = ()) -> Connection:
        """Send a GET, hand the connection over to the caller, at the start of the chunked body.

        Raises:
            DaemonUnreachable, Refused: see the class.
        """
        connection = self.connect()
        self._connection = None
        try:
            target = _target(path, query)
            answer = connection.open("GET", target, identity.headers, seconds=self._seconds)
            if answer.status != 200 or "transfer-encoding" not in answer.headers:
                connection.read_body(answer, seconds=self._seconds)
                self._read(answer)
                raise self.not_ours()
        except BaseException:
            connection.close()
            raise
        return connection

    def health(self, seconds: float | None = None) -> dict[str, object]:
        """Return what the daemon says about itself."""
        reply = self.call("GET", "/health", seconds=seconds, is_repeatable=True)
        value = reply.value
        if not isinstance(value, dict) or value.get("status") != "ok" or "version" not in value:
            raise self.not_ours()
        return value

    def claim(
        self, identity: Identity, limit: int | None = None, max_chars: int | None = None
    ) -> tuple[list[Mail], int]:
        """Lease what waits, oldest first; return it, and how many more wait."""
        query = [*identity.query, f"lease={LEASE_SECONDS}"]
        if limit is not None:
            query.append(f"limit={limit}")
        if max_chars is not None:
            query.append(f"maxChars={max_chars}")
        reply = self.call("POST", "/v1/check-inbox", identity=identity, query=tuple(query))
        if not isinstance(reply.value, list):
            raise self.not_ours()
        pending = reply.headers.get("x-mailbox-pending", "0")
        mails = [self.mail(value) for value in reply.value]
        return mails, int(pending) if pending.isdigit() else 0

    def mail(self, value: object) -> Mail:
        """Return the leased message in *value*."""
        try:
            return Mail(value)  # type: ignore[arg-type]  # that is what the except is for
        except (KeyError, TypeError):
            raise self.not_ours() from None

    def ack(self, leases: list[str], identity: Identity | None = None) -> list[str]:
        """Say that the messages arrived; return the leases that had been lost before."""
        return self._settle("/v1/ack", leases, identity)

    def release(self, leases: list[str], identity: Identity | None = None) -> None:
        """Put messages back; a daemon that is gone has done so, or will when the lease ends."""
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._settle("/v1/release", leases, identity)
        except MailboxError:
            pass

    def not_ours(self) -> NotOurs:
        """Return the error for an answer that no daemon gives."""
        place = self.place
        self.close()
        return NotOurs(
            f"What answers at {place} is not claude-mailbox: see 'claude-mailbox doctor'."
        )

    def _settle(self, path: str, leases: list[str], identity: Identity | None) -> list[str]:
        lost: list[str] = []
        for start in range(0, len(leases), _TOKENS_LIMIT):
            body = {"leases": leases[start : start + _TOKENS_LIMIT]}
            reply = self.call("POST", path, identity=identity, body=body, is_repeatable=True)
            if isinstance(reply.value, dict) and isinstance(reply.value.get("lost"), list):
                lost += reply.value["lost"]
        return lost

    def _read(self, answer: Answer) -> Reply:
        """Decode the answer, or raise what it refuses with."""
        if answer.status == 204:
            return Reply(answer, None)
        try:
            value = codec.decode(answer.body)
        except ValueError:
            raise self.not_ours() from None
        if 200 <= answer.status < 300:
            return Reply(answer, value)
        if not isinstance(value, dict) or not isinstance(value.get("error"), str):
            raise self.not_ours()
        if answer.status == 503 and value.get("reason") == ShuttingDown.code:
            place = self.place
            self.close()
            raise DaemonUnreachable(f"The daemon at {place} is going down: try again.")
        raise Refused(answer.status, value)


def _target(path: str, query: tuple[str, ...]) -> str:
    return f"{path}?{'&'.join(query)}" if query else path
