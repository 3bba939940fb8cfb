"""What the person writes: a new message, a question, a reply."""

from quart import Response, g, render_template, request

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.drafts import ASK_RANGE
from claude_mailbox.daemon.web.inbox.fields import form_key, url, whole
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import HIGH, Draft
from claude_mailbox.model.mail import check_body, check_key, check_message
from claude_mailbox.model.names import USER, check_name

# How many mailboxes the form offers.
NAMES_LIMIT = 100


class Writing:
    """The form, and what it sends.

    Args:
        broker: sends it.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def write(self) -> str:
        return await self._show_form(to=request.args.get("to", ""))

    async def _show_form(self, *, to: str, body: str = "", problem: str = "") -> str:
        rows = await self._broker.list_mailboxes()
        return await render_template(
            "write.html",
            to=to,
            body=body,
            problem=problem,
            names=[listing.name for listing, _ in rows[:NAMES_LIMIT] if listing.name != USER],
            key=form_key(),
        )

    async def send(self) -> Response:
        form = g.form
        to, body = form.get("to", ""), form.get("body", "").replace("\r\n", "\n")
        reply_to = form.get("replyTo")
        ask = whole(form.get("ask"), 0)
        try:
            draft = Draft(
                USER,
                "" if reply_to else check_name(to, "to"),
                check_body(body, self._broker.max_body_bytes),
                check_key(form.get("key")),
                reply_to=check_message(reply_to, "replyTo") if reply_to else None,
                ask=min(ask, ASK_RANGE[1]) if ask else None,
                # What the person says goes before other mail.
                urgency=HIGH,
            )
            receipt = await self._broker.send(draft)
        except BadRequest as error:
            page = await self._show_form(to=to, body=body, problem=str(error))
            return Response(page, status=error.status)
        unknown = "" if receipt.known else "1"
        target = url("/inbox/message", id=receipt.id, unknown=unknown)
        if reply_to:
            thread = check_message(form.get("thread"), "thread")
            target = f"{url('/inbox/thread', id=thread)}#m{receipt.id}"
        return Response("", status=303, headers={"Location": target})
