"""``watch --follow``: one process for many messages, over restarts of the daemon."""

import time

from claude_mailbox.client import codec, output, text
from claude_mailbox.client.mail.handing_over import ask
from claude_mailbox.client.mail.interrupts import Interrupted, Interrupts
from claude_mailbox.client.reach.api import Daemon, Identity, Mail, Refused
from claude_mailbox.client.reach.connection import Connection, ConnectionLost
from claude_mailbox.client.reach.http1 import Chunks
from claude_mailbox.errors import DaemonUnreachable, OutputLost, QuotaFull, Renamed, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# So many messages are printed and acked in one go, when they are there already.
BATCH = 256
# The daemon sends at least an empty line every 15 seconds.
SILENCE_SECONDS = 45.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 5.0


class Follower:
    """Prints what comes to a mailbox until a signal ends it.

    No message is printed twice by one Follower: it remembers each one until the daemon has
    confirmed the ack, and acks a redelivered one without printing.
    """

    def __init__(
        self, daemon: Daemon, identity: Identity, interrupts: Interrupts, *, as_json: bool
    ) -> None:
        self._daemon = daemon
        self._identity = identity
        self._interrupts = interrupts
        self._as_json = as_json
        self._printed: set[tuple[int, str]] = set()  # and not yet known to be acked
        self._unacked: dict[str, tuple[int, str]] = {}  # lease -> message
        self._pause = FIRST_PAUSE_SECONDS

    def run(self) -> "NoReturn":
        """Follow, and come back after a restart of the daemon.

        Raises:
            Interrupted: when a signal ends it.
            OutputLost: when the output breaks; what was not printed goes back.
            DaemonUnreachable: if nobody answers at first.
            MailboxError: if the daemon refuses.
        """
        connection: Connection | None = self._open()
        while True:
            was_renamed = False
            if connection is not None:
                try:
                    was_renamed = self._read(connection)
                except DaemonUnreachable:
                    self._interrupts.check()
            if not was_renamed:
                with self._interrupts.breakable():
                    time.sleep(self._pause)
                self._pause = min(self._pause * 2, LAST_PAUSE_SECONDS)
            connection = self._reopen()

    def _open(self) -> Connection:
        """Open the stream; a name that has changed meanwhile is followed."""
        while True:
            try:
                return ask(self._interrupts, self._daemon, self._stream)
            except Refused as refusal:
                if refusal.code != Renamed.code:
                    raise
                self._rename(str(refusal.answer.get("to")))

    def _stream(self) -> Connection:
        # Without `lease=`: what we have not acked is ours for as long as the stream lasts.
        query = tuple(self._identity.query)
        return self._daemon.stream("/v1/follow", identity=self._identity, query=query)

    def _reopen(self) -> Connection | None:
        """Open the stream again; None when the daemon is not back, or not yet able."""
        try:
            self._ack()
            return self._open()
        except DaemonUnreachable:
            self._interrupts.check()
        except Refused as refusal:
            # The waiter of our broken stream may still count.
            if refusal.status not in (QuotaFull.status, Unavailable.status):
                raise
        return None

    def _read(self, connection: Connection) -> bool:
        """Print what the stream brings until it ends; say whether a rename ended it.

        Raises:
            ConnectionLost: when it breaks.
        """
        chunks = Chunks()
        rest = b""
        name = self._identity
        heard_at = time.monotonic()
        try:
            while not chunks.done:
                payload = self._await(connection, chunks)
                if time.monotonic() - heard_at > SILENCE_SECONDS:
                    # We were stopped. What came meanwhile may be somebody else's by now.
                    raise ConnectionLost("The stream stood still for too long.")
                heard_at = time.monotonic()
                self._pause = FIRST_PAUSE_SECONDS
                lines: list[bytes] = []
                failure = None
                while payload:
                    *complete, rest = (rest + payload).split(b"\n")
                    lines += filter(None, complete)
                    if len(lines) >= BATCH:
                        break
                    try:
                        payload = connection.read_some(chunks, seconds=0)
                    except ConnectionLost as error:
                        failure = error
                        break
                self._take(lines, connection)
                if failure is not None:
                    raise failure
        finally:
            connection.close()
        return self._identity is not name

    def _await(self, connection: Connection, chunks: Chunks) -> bytes:
        """Return the next piece of the stream.

        Raises:
            OutputLost: if nobody reads our output any more; no mail is in our hands then.
        """
        with self._interrupts.hang_up(connection):
            payload = connection.read_some(chunks, seconds=0)
            if payload or chunks.done:
                return payload
            if not output.await_input(connection.fileno(), SILENCE_SECONDS):
                raise OutputLost("")
            return connection.read_some(chunks, seconds=SILENCE_SECONDS)

    def _take(self, lines: list[bytes], connection: Connection) -> None:
        """Print and ack the messages in these lines of the stream."""
        mails, new_name = self._parse(lines)
        fresh = []
        for mail in mails:
            key = (mail.id, mail.sent_at)
            if key not in self._printed:
                fresh.append(mail)
            self._unacked[mail.lease] = key
        if fresh:
            try:
                self._print(self._text(fresh))
            except Interrupted:
                self._put_back(mails, connection)
                raise
            except OutputLost as error:
                self._put_back(mails, connection)
                raise OutputLost(f"{error} The mail was put back.") from None
            self._printed.update((mail.id, mail.sent_at) for mail in fresh)
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._ack()
        except DaemonUnreachable:
            pass  # the stream breaks as well; they are acked after the restart
        if new_name is not None:
            self._rename(new_name)

    def _parse(self, lines: list[bytes]) -> tuple[list[Mail], str | None]:
        """Return the messages in these lines, and the new name when the last one has it."""
        mails: list[Mail] = []
        for line in lines:
            try:
                value = codec.decode(line)
            except ValueError:
                raise self._daemon.not_ours() from None
            if isinstance(value, dict) and "renamed" in value:
                return mails, str(value["renamed"])
            if isinstance(value, dict) and "error" in value:
                # The stream ends here, and what is wrong may pass: we come back to ask.
                return mails, None
            mails.append(self._daemon.mail(value))
        return mails, None

    def _text(self, mails: list[Mail]) -> str:
        if self._as_json:
            return "".join([codec.encode(mail.fields) + "\n" for mail in mails])
        return "".join(
            [text.mail_line(mail.sender, mail.body, mail.attempts) + "\n" for mail in mails]
        )

    def _put_back(self, mails: list[Mail], connection: Connection) -> None:
        # In this order, or the daemon would hand what we release to this very stream.
        connection.close()
        self._daemon.release([mail.lease for mail in mails], self._identity)

    def _print(self, text: str) -> None:
        with self._interrupts.breakable():
            output.write(text)

    def _ack(self) -> None:
        """Ack what was printed; what had been lost comes again, and is known then."""
        if not self._unacked:
            return
        lost = self._daemon.ack(list(self._unacked), self._identity)
        for lease in lost:
            self._unacked.pop(lease, None)
        self._printed.difference_update(self._unacked.values())
        self._unacked.clear()

    def _rename(self, new: str) -> None:
        from claude_mailbox.client.mail.watch import rename_text

        self._identity = Identity(new)
        self._print(rename_text(new, as_json=self._as_json))
