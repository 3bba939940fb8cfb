"""Mail in results of tools: as many whole messages as fit, or a part of a long one."""

from collections.abc import Mapping

import trio

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.input.callers import Callers
from claude_mailbox.daemon.edge.output.handover import Custody
from claude_mailbox.daemon.edge.output.render import delivery_json, for_models
from claude_mailbox.daemon.mcp.tools.parts import (
    HELD_SECONDS,
    LongMessage,
    LongMessages,
    cut,
    json_size,
)
from claude_mailbox.model.mail import Claim, Delivery

# Characters of a result besides its messages: the count of the rest, and how to go on.
ENVELOPE = 200

Content = Mapping[str, object]


class MailResults:
    """Makes the results of tools that deliver mail.

    Args:
        broker: releases and extends leases.
        callers: knows the present names of mailboxes.

    Attributes:
        long_messages: the messages that are delivered in parts.
    """

    def __init__(self, broker: Broker, callers: Callers) -> None:
        self._broker = broker
        self._callers = callers
        self.long_messages = LongMessages(trio.current_time)

    async def release(self, custody: Custody) -> None:
        """Release what a cancelled call took: a claim that has begun is not cancelled."""
        if custody.tokens:
            await self._broker.leases.release_abandoned(custody.tokens)
            custody.drop()

    async def handed_out(
        self, claim: Claim, room: int, custody: Custody
    ) -> tuple[list[Content], Content]:
        """Return the messages of *claim*, or a first part, and the other fields of the result."""
        if claim.deliveries and self.size(claim.deliveries[0]) > room - ENVELOPE:
            (delivery,) = claim.deliveries
            content = self._content(delivery)
            text_room = room - ENVELOPE - json_size({**content, "body": ""}) - 1
            pieces = cut(str(content["body"]), text_room)
            message = self.long_messages.begin(claim.mailbox, delivery, pieces)
            await self._keep_lease(message, custody)
            part, rest = _part(message, self._content(message.delivery), 1, claim.remaining)
            return [part], rest
        if custody.lease_seconds is not None:
            # A result has no field for leases, so headers have them.
            custody.holder = claim.mailbox
        messages = [self._content(delivery) for delivery in claim.deliveries]
        return messages, {"remaining": claim.remaining}

    async def later_part(self, name: str, part: int, custody: Custody) -> tuple[Content, Content]:
        mailbox = await self._callers.present(name)
        message = self.long_messages.continue_with(mailbox, part)
        custody.take([message.delivery.lease])
        if not message.is_complete:
            await self._keep_lease(message, custody)
        elif custody.lease_seconds is not None:
            await self._broker.leases.extend(custody.tokens, custody.lease_seconds)
            custody.holder = mailbox
        waiting = (await self._broker.peek(mailbox)).pending
        return _part(message, self._content(message.delivery), part, waiting)

    async def _keep_lease(self, message: LongMessage, custody: Custody) -> None:
        """Keep the lease after this response; it is released if the response does not arrive."""
        if custody.lease_seconds is not None:
            await self._broker.leases.extend([message.delivery.lease], HELD_SECONDS)
        custody.lease_seconds = HELD_SECONDS

    async def start_over(self, name: str) -> None:
        """Release the message that is being delivered in parts, so that it is the next one again."""
        lease = self.long_messages.give_up(await self._callers.present(name))
        if lease is not None:
            await self._broker.leases.release_abandoned([lease])

    def size(self, delivery: Delivery) -> int:
        """Return how many characters a message takes in a result."""
        return json_size(self._content(delivery)) + 1  # and a comma

    def _content(self, delivery: Delivery) -> Content:
        user = self._broker.user
        return for_models(delivery_json(delivery, with_lease=False, user=user), user)


def _part(message: LongMessage, frame: Content, part: int, waiting: int) -> tuple[Content, Content]:
    """Return a part of a message, and the other fields of the result."""
    parts = len(message.pieces)
    content = {
        **frame,
        "body": message.pieces[part - 1],
        "part": part,
        "parts": parts,
    }
    if part == parts:
        return content, {"remaining": waiting}
    following = f"This is part {part} of {parts}: call check_inbox with part {part + 1} to go on."
    return content, {"remaining": waiting + 1, "next": following}
