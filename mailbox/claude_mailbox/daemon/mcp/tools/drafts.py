"""Makes the draft of a message from the arguments of ``send``."""

from claude_mailbox.daemon.edge.input import arguments as given
from claude_mailbox.daemon.edge.input import drafts
from claude_mailbox.daemon.edge.input.arguments import Arguments
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.mail import check_body
from claude_mailbox.model.names import check_name


def draft_of(sender: str, arguments: Arguments, max_body_bytes: int) -> Draft:
    """Return the draft.

    Raises:
        BadRequest: if an argument is missing or malformed.
        TooLarge: if the body is.
    """
    original = drafts.reply_to(given.text_or_none(arguments, "reply_to"), "reply_to")
    to = given.text(arguments, "to")
    return Draft(
        sender,
        "" if to in (None, "") and original is not None else check_name(to, "to"),
        check_body(given.text(arguments, "body"), max_body_bytes),
        reply_to=original,
        ask=given.seconds(arguments, "ask", drafts.ASK_RANGE),
        urgency=drafts.urgency(given.text_or_none(arguments, "urgency"), "urgency"),
        is_confirmed=given.flag(arguments, "confirm"),
    )
