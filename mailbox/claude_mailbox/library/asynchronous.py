"""`AsyncMailbox`: `Mailbox` for trio and asyncio. The methods are the same, to be awaited."""

import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import anyio
import httpx

from claude_mailbox.errors import MailboxError
from claude_mailbox.library import calls
from claude_mailbox.library.calls import (
    ASK_SECONDS,
    LEASE_SECONDS,
    OPEN_SECONDS,
    WATCH_SECONDS,
    Call,
    Fields,
    unreachable,
)
from claude_mailbox.library.endpoint import find_endpoint, identity
from claude_mailbox.library.held import HeldLeases
from claude_mailbox.library.retrying import Retry
from claude_mailbox.library.values import (
    HistoryEntry,
    LeaseLost,
    MessageFields,
    Receipt,
    Unanswered,
    message_fields,
)

T = TypeVar("T")


# How long a cancelled program may take to release its mail.
RELEASE_SECONDS = 5.0


@dataclass(kw_only=True)
class AsyncMessage(MessageFields):
    """A leased message. As a context manager it is acked at the end, or released after an error."""

    mailbox: "AsyncMailbox" = field(repr=False)

    async def ack(self) -> None:
        """Confirm the message: it does not come again.

        Raises:
            LeaseLost: if its lease had ended before.
        """
        self.mailbox.held.settle([self])
        if lost := await self.mailbox.run(calls.end_leases("ack", [self])):
            raise LeaseLost(lost)

    async def release(self) -> None:
        """Release the message: it is handed out again, at its old place."""
        self.mailbox.held.settle([self])
        await self.mailbox.run(calls.end_leases("release", [self]))

    async def extend(self, seconds: float = LEASE_SECONDS) -> None:
        """Extend its lease to so many seconds from now.

        Raises:
            LeaseLost: if it had ended before.
        """
        if lost := await self.mailbox.run(calls.end_leases("extend", [self], seconds)):
            raise LeaseLost(lost)

    async def __aenter__(self) -> "AsyncMessage":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.move_on_after(RELEASE_SECONDS, shield=True):
            await self.mailbox.settle([self], error)


class AsyncDeliveries(list[AsyncMessage]):
    """Leased messages, oldest first. As a context manager all are acked, or released."""

    async def __aenter__(self) -> "AsyncDeliveries":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self:
            with anyio.move_on_after(RELEASE_SECONDS, shield=True):
                await self[0].mailbox.settle(self, error)


class AsyncMailbox:
    """A mailbox for trio and asyncio, on its own connection.

    Use it as a context manager, or close it.

    Every method raises `DaemonUnreachable` if nobody answers, and `Refused` if the daemon answers
    with an error.

    Args:
        name: name of the mailbox.
        url: ``https://HOST:PORT``, ``http://HOST:PORT`` or ``unix:/PATH``; else
            ``CLAUDE_MAILBOX_URL``, else the daemon of the home folder.
        token: for a daemon beyond this machine; else ``CLAUDE_MAILBOX_TOKEN``.
        verify: what verifies the server of an ``https`` URL.
        timeout: how many seconds to wait for an answer.

    Attributes:
        name: present name of the mailbox; `follow` notices when it is renamed.
        held: the leases of messages that are not settled.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        token: str | None = None,
        verify: ssl.SSLContext | bool = True,
        timeout: float = 30.0,
    ) -> None:
        self.name = name
        endpoint = find_endpoint(name, url, token, verify)
        transport = httpx.AsyncHTTPTransport(uds=endpoint.socket, verify=endpoint.verify)
        self._client = httpx.AsyncClient(transport=transport, **endpoint.client_arguments())
        self._seconds = timeout
        self.held = HeldLeases()

    async def __aenter__(self) -> "AsyncMailbox":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncMailbox {self.name!r} at {self._client.base_url}>"

    async def close(self) -> None:
        """Release the messages that are not settled, and close the connections."""
        try:
            if leases := self.held.take():
                with anyio.move_on_after(RELEASE_SECONDS, shield=True):
                    await self.run(calls.give_back(leases))
        except MailboxError:
            pass  # they come again when their leases end
        finally:
            await self._client.aclose()

    async def send(
        self,
        to: str,
        body: str,
        *,
        key: str | None = None,
        urgency: str | None = None,
        ttl: float | None = None,
        delay: float | None = None,
        ask: float | None = None,
        strict: bool = False,
        confirm: bool = False,
    ) -> Receipt:
        """Send a message. It is on the disk of the daemon's machine when this returns.

        Args:
            to: name of a mailbox, or of a group, such as ``@reviewers``.
            body: the text.
            key: idempotency key: what is sent again with the same key is stored once.
            urgency: ``low``, ``normal`` or ``high``.
            ttl: after so many seconds without delivery it expires, with a notice to you.
            delay: after how many seconds it can be delivered.
            ask: makes it a question: within so many seconds comes a reply, or a notice.
            strict: only to a mailbox that somebody has used.
            confirm: also to many members of a group.
        """
        fields = {"urgency": urgency, "ttl": ttl, "delay": delay, "ask": ask}
        flags = {"strict": strict or None, "confirm": confirm or None}
        return await self.run(calls.send(to, body, key, **fields, **flags))

    async def reply(
        self,
        message: MessageFields | int,
        body: str,
        *,
        final: bool = True,
        to: str | None = None,
        urgency: str | None = None,
    ) -> Receipt:
        """Reply to a message, in its thread.

        Args:
            message: the message, or its number.
            body: the text.
            final: whether this answers a question; if not, it stays open.
            to: the group that it was sent to, for a reply to all of them; else it goes to the other
                side of the message.
            urgency: ``low``, ``normal`` or ``high``.
        """
        number = message if isinstance(message, int) else message.id
        fields = {"replyTo": number, "final": final, "urgency": urgency}
        return await self.run(calls.send(to, body, None, **fields))

    async def ask(
        self,
        to: str,
        body: str,
        timeout: float = ASK_SECONDS,  # noqa: ASYNC109  # of the daemon
        *,
        within: float = OPEN_SECONDS,
    ) -> AsyncMessage | None:
        """Ask a question and wait for its answer, for up to *timeout* seconds (300 at most).

        None means that there is no answer yet: it comes as mail, and so does the notice that none
        will come. The answer is leased as the messages of `watch` are.

        Args:
            to: the mailbox that is asked.
            body: the question.
            timeout: how long to wait here.
            within: for how many seconds the question stays open.

        Raises:
            Unanswered: if it is known that there will be no answer.
        """
        message = await self.run(calls.ask(self._message, to, body, timeout, within))
        if message is not None and message.notice is not None:
            await message.ack()
            raise Unanswered(message.body)
        return message

    async def check(
        self, *, limit: int | None = None, lease: float = LEASE_SECONDS
    ) -> AsyncDeliveries:
        """Take the messages that wait, oldest first; they are leased for *lease* seconds."""
        found = await self.run(calls.check(self._message, limit, lease))
        return AsyncDeliveries(found)

    async def watch(
        self,
        timeout: float = WATCH_SECONDS,  # noqa: ASYNC109  # of the daemon, which clamps it
        *,
        lease: float = LEASE_SECONDS,
    ) -> AsyncMessage | None:
        """Wait for one message, for up to *timeout* seconds (300 at most)."""
        return await self.run(calls.watch(self._message, timeout, lease))

    def follow(self, *, lease: float = LEASE_SECONDS) -> AsyncIterator[AsyncMessage]:
        """Yield messages as they come, for ever; go on when the daemon was restarted.

        Ack or release each one, or use it as a context manager. One that is not settled within
        *lease* seconds comes again.

        Raises:
            DaemonUnreachable: if nobody answers the first time.
        """
        return _Following(self, lease)

    async def history(
        self,
        words: str | None = None,
        *,
        peer: str | None = None,
        thread: int | None = None,
        since: datetime | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> Sequence[HistoryEntry]:
        """Return what the mailbox sent and got, newest first.

        Args:
            words: only messages with these words and "quoted phrases".
            peer: only messages from and to that mailbox.
            thread: only that thread, by the number of its first message.
            since: only messages sent at that time or later.
            before: only messages with smaller numbers.
            limit: at most so many; 50 by default, and never more than 500.
        """
        return await self.run(calls.history(words, peer, thread, since, before, limit))

    async def join(self, group: str) -> Sequence[str]:
        """Join a group, such as ``@reviewers``; return its members."""
        return await self.run(calls.membership("join", group))

    async def leave(self, group: str) -> Sequence[str]:
        """Leave a group; return its members."""
        return await self.run(calls.membership("leave", group))

    async def rename(self, name: str) -> None:
        """Rename the mailbox; its mail moves along, and mail to the old name is forwarded."""
        self.take_name(await self.run(calls.rename(name)))

    async def settle(self, messages: Sequence[AsyncMessage], error: BaseException | None) -> None:
        """Ack messages, or release them if there is an *error*; skip those that are settled.

        Raises:
            LeaseLost: if the lease of one to be acked had ended before.
        """
        left = [message for message in messages if not message.is_settled]
        if not left:
            return
        self.held.settle(left)
        lost = await self.run(calls.end_leases("release" if error else "ack", left))
        if lost and error is None:
            raise LeaseLost(lost)

    async def run(self, call: Call[T]) -> T:
        """Send a request and return what its answer says."""
        arguments = call.arguments(self.name, self._seconds)
        try:
            response = await self._client.request(**arguments)
        except httpx.TransportError as error:
            if not call.is_repeatable:
                raise unreachable(error) from error
            try:
                response = await self._client.request(**arguments)
            except httpx.TransportError as again:
                raise unreachable(again) from again
        return call.read(calls.content_of(response))

    def _message(self, content: Fields) -> AsyncMessage:
        message = AsyncMessage(mailbox=self, **message_fields(content))
        self.held.add(message)
        return message

    def take_name(self, name: str) -> None:
        """Use another name from now on."""
        if name != self.name:
            self.name = name
            self._client.headers.update(identity(name))


class _Following(AsyncIterator[AsyncMessage]):
    """What `AsyncMailbox.follow` returns: no generator, because those have to be closed."""

    def __init__(self, mailbox: AsyncMailbox, lease: float) -> None:
        self._mailbox = mailbox
        self._lease = lease
        self._retry = Retry(mailbox.name)

    async def __anext__(self) -> AsyncMessage:
        while True:
            try:
                message = await self._mailbox.watch(lease=self._lease)
            except MailboxError as error:
                pause = self._retry.seconds_after(error)
                self._mailbox.take_name(self._retry.name)
                await anyio.sleep(pause)
                continue
            self._retry.answered()
            if message is not None:
                return message
