"""The form for a message, and what it sends: a message, a question, a reply, mail to a group."""

from collections.abc import Sequence

from quart import Response, g, request

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.input.drafts import ASK_RANGE
from claude_mailbox.daemon.web.inbox.fields import form_key, url, whole
from claude_mailbox.daemon.web.inbox.rendering import Renderer
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import HIGH, Draft
from claude_mailbox.model.groups import is_group
from claude_mailbox.model.mail import check_body, check_key, check_message
from claude_mailbox.model.names import check_name
from claude_mailbox.refusals import ConfirmationNeeded, EmptyGroup

# How many mailboxes the form offers.
NAMES_LIMIT = 100


class Writing:
    """The form, and what it sends.

    Args:
        broker: sends the message.
        render: renders the form.
    """

    def __init__(self, broker: Broker, render: Renderer) -> None:
        self._broker = broker
        self._render = render

    async def write(self) -> str:
        return await self._show_form(to=request.args.get("to", ""))

    async def _show_form(
        self,
        *,
        to: str,
        body: str = "",
        ask: int = 0,
        problem: str = "",
        receivers: Sequence[str] = (),
    ) -> str:
        """Show the form; with *receivers* it asks to confirm them."""
        rows, _ = await self._broker.listings.page(1, NAMES_LIMIT)
        groups = await self._broker.groups.groups()
        return await self._render(
            "write.html",
            to=to,
            body=body,
            ask=ask,
            problem=problem,
            receivers=receivers,
            members=next((group.members for group in groups if group.name == to), ()),
            groups=groups,
            names=[listing.name for listing, _ in rows if listing.name != self._broker.user],
            key=form_key(),
        )

    async def send(self) -> Response:
        form = g.form
        to, body = form.get("to", ""), form.get("body", "").replace("\r\n", "\n")
        reply_to = form.get("replyTo")
        ask = whole(form.get("ask"), 0)
        receivers: Sequence[str] = ()
        try:
            draft = Draft(
                self._broker.user,
                "" if reply_to else check_name(to, "to"),
                check_body(body, self._broker.max_body_bytes),
                check_key(form.get("key")),
                reply_to=check_message(reply_to, "replyTo") if reply_to else None,
                ask=min(ask, ASK_RANGE[1]) if ask else None,
                # The user's messages are delivered before others.
                urgency=HIGH,
                is_confirmed=form.get("confirm") == to,
            )
            target = await self._send(draft)
        except ConfirmationNeeded as error:
            problem, status = "", error.status
            receivers = error.recipients
        except (BadRequest, EmptyGroup) as error:
            problem, status = str(error), error.status
        else:
            return Response("", status=303, headers={"Location": target})
        page = await self._show_form(
            to=to, body=body, ask=ask, problem=problem, receivers=receivers
        )
        return Response(page, status=status)

    async def _send(self, draft: Draft) -> str:
        """Send a message; return the address of the page that shows it."""
        if is_group(draft.to):
            answer = await self._broker.send_to_group(draft)
            return url("/inbox/thread", id=answer.id)
        receipt = await self._broker.send(draft)
        if draft.reply_to is None:
            return url("/inbox/message", id=receipt.id, unknown="" if receipt.known else "1")
        thread = check_message(g.form.get("thread"), "thread")
        return f"{url('/inbox/thread', id=thread)}#m{receipt.id}"
