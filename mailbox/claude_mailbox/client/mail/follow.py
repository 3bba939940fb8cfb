"""``watch --follow``: one process for many messages, across restarts of the daemon."""

import time

from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Daemon, Delivery, Identity, Refused
from claude_mailbox.client.reach.connection import Connection, ConnectionLost
from claude_mailbox.client.reach.http1 import ChunkDecoder
from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupted, Interrupts
from claude_mailbox.client.terminal.printing import message_lines, renamed_line
from claude_mailbox.errors import DaemonUnreachable, OutputLost, QuotaFull, Renamed, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# How many messages are printed and acked together, when as many have already come.
BATCH = 256
# The daemon sends at least an empty line every 15 seconds.
SILENCE_SECONDS = 45.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 5.0


class Follower:
    """Prints the mail of a mailbox as it comes, until a signal ends it.

    It never prints a message twice: it remembers each one until the daemon has confirmed the ack,
    and acks a message that comes again without printing it.
    """

    def __init__(
        self, daemon: Daemon, identity: Identity, interrupts: Interrupts, *, as_json: bool
    ) -> None:
        self._daemon = daemon
        self._identity = identity
        self._interrupts = interrupts
        self._as_json = as_json
        self._printed: set[tuple[int, str]] = set()  # messages whose ack is not confirmed yet
        self._unacked: dict[str, tuple[int, str]] = {}  # lease -> message
        self._pause = FIRST_PAUSE_SECONDS

    def run(self) -> "NoReturn":
        """Follow the mailbox, and connect again whenever the daemon was restarted.

        Raises:
            Interrupted: when a signal ends it.
            OutputLost: when the output breaks; what was not printed was released.
            DaemonUnreachable: if nobody answers the first time.
            MailboxError: if the daemon answers with an error.
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
                with self._interrupts.raise_on_signal():
                    time.sleep(self._pause)
                self._pause = min(self._pause * 2, LAST_PAUSE_SECONDS)
            connection = self._reopen()

    def _open(self) -> Connection:
        """Open the stream, under the new name if the mailbox was renamed."""
        while True:
            try:
                return self._interrupts.call(self._daemon, self._stream)
            except Refused as refusal:
                if refusal.code != Renamed.code:
                    raise
                self._rename(str(refusal.fields.get("to")))

    def _stream(self) -> Connection:
        # Without `lease=`: what we have not acked stays leased to us until the stream ends.
        query = tuple(self._identity.query)
        return self._daemon.stream("/v1/follow", identity=self._identity, query=query)

    def _reopen(self) -> Connection | None:
        """Open the stream again; return None if the daemon is not back or not ready."""
        try:
            self._ack()
            return self._open()
        except DaemonUnreachable:
            self._interrupts.check()
        except Refused as refusal:
            # The daemon may still count the waiter of our broken stream against the quota.
            if refusal.status not in (QuotaFull.status, Unavailable.status):
                raise
        return None

    def _read(self, connection: Connection) -> bool:
        """Print what the stream brings until it ends; return whether a rename ended it.

        Raises:
            ConnectionLost: when the connection breaks.
        """
        decoder = ChunkDecoder()
        rest = b""
        former = self._identity
        heard_at = time.monotonic()
        try:
            while not decoder.done:
                payload = self._await_payload(connection, decoder)
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
                        payload = connection.read_some(decoder, seconds=0)
                    except ConnectionLost as error:
                        failure = error
                        break
                self._process(lines, connection)
                if failure is not None:
                    raise failure
        finally:
            connection.close()
        return self._identity is not former

    def _await_payload(self, connection: Connection, decoder: ChunkDecoder) -> bytes:
        """Return the next part of the stream.

        Raises:
            OutputLost: if the reader of our output has gone; we hold no mail then.
        """
        with self._interrupts.hang_up_on_signal(connection):
            payload = connection.read_some(decoder, seconds=0)
            if payload or decoder.done:
                return payload
            if not output.await_input(connection.fileno(), SILENCE_SECONDS):
                raise OutputLost("")
            return connection.read_some(decoder, seconds=SILENCE_SECONDS)

    def _process(self, lines: list[bytes], connection: Connection) -> None:
        """Print and ack the messages in these lines of the stream, and follow a rename."""
        deliveries, new_name = self._parse(lines)
        fresh = []
        for delivery in deliveries:
            message = (delivery.id, delivery.sent_at)
            if message not in self._printed:
                fresh.append(delivery)
            self._unacked[delivery.lease] = message
        if fresh:
            try:
                self._print(message_lines(fresh, as_json=self._as_json))
            except Interrupted:
                self._release(deliveries, connection)
                raise
            except OutputLost as error:
                self._release(deliveries, connection)
                raise OutputLost(f"{error} The mail was put back.") from None
            self._printed.update((delivery.id, delivery.sent_at) for delivery in fresh)
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._ack()
        except DaemonUnreachable:
            pass  # the stream is going to break too; they are acked when the daemon is back
        if new_name is not None:
            self._rename(new_name)

    def _parse(self, lines: list[bytes]) -> tuple[list[Delivery], str | None]:
        """Return the messages in these lines, and the new name if the last line is a rename."""
        deliveries: list[Delivery] = []
        for line in lines:
            try:
                value = codec.decode(line)
            except ValueError:
                raise self._daemon.wrong_server() from None
            if isinstance(value, dict) and "renamed" in value:
                return deliveries, str(value["renamed"])
            if isinstance(value, dict) and "error" in value:
                # The stream ends with it. We connect again, as the error may be gone by then.
                return deliveries, None
            deliveries.append(self._daemon.parse_delivery(value))
        return deliveries, None

    def _release(self, deliveries: list[Delivery], connection: Connection) -> None:
        # First close the stream: the daemon could deliver what we release to it again.
        connection.close()
        self._daemon.release([delivery.lease for delivery in deliveries], self._identity)

    def _print(self, text: str) -> None:
        with self._interrupts.raise_on_signal():
            output.write(text)

    def _ack(self) -> None:
        """Ack what was printed. Messages whose lease has ended stay known: they come again."""
        if not self._unacked:
            return
        lost = self._daemon.ack(list(self._unacked), self._identity)
        for lease in lost:
            self._unacked.pop(lease, None)
        self._printed.difference_update(self._unacked.values())
        self._unacked.clear()

    def _rename(self, new_name: str) -> None:
        self._identity = Identity(new_name)
        self._print(renamed_line(new_name, as_json=self._as_json))
