"""The commands that send mail: ``send``, ``reply`` and ``ask``."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client.mail import conversation, sending

_NUMBER = click.IntRange(1, 2**63 - 1)
_SENDER = options.own_or_session("Your own mailbox, which answers come to", "--from", "sender")


@click.command()
@_SENDER
@options.mailbox(
    "--to",
    "to",
    "The mailbox that gets the message; it need not exist yet. Not needed with --reply-to.",
    required=False,
)
@options.body
@click.option("--reply-to", type=_NUMBER, metavar="ID", help="Reply to that message.")
@click.option(
    "--ask",
    type=float,
    metavar="SECONDS",
    help="Make it a question: within that time you get a reply, or mail that none will come.",
)
@click.option(
    "--urgency",
    type=click.Choice(["low", "normal", "high"]),
    help="low wakes nobody; high goes before other mail.",
)
@click.option(
    "--ttl", type=float, metavar="SECONDS", help="Return it if it is not delivered by then."
)
@click.option("--delay", type=float, metavar="SECONDS", help="Let nobody see it before that.")
@click.option(
    "--key", metavar="KEY", help="Idempotency key: repeated within a day, it is sent only once."
)
@click.option("--strict", is_flag=True, help="Only to a mailbox that somebody has used.")
@click.option("--confirm", is_flag=True, help="Also to more than five members of a group.")
@options.url
@options.as_json
def send(
    sender: str | None,
    to: str | None,
    body: str | None,
    text: str | None,
    reply_to: int | None,
    ask: float | None,
    urgency: str | None,
    ttl: float | None,
    delay: float | None,
    key: str | None,
    strict: bool,
    confirm: bool,
    url: str | None,
    as_json: bool,
) -> int:
    """Send a message. It is on disk when the command says that it was sent.

    The output also says whether anybody reads that mailbox.

    \b
    Examples:
      claude-mailbox send --from me --to backend-a3f91b2c --body "Hello"
      git diff | claude-mailbox send --from me --to reviewer
    """
    if to is None and reply_to is None:
        raise click.UsageError("Missing option '--to'.")
    return sending.send(
        sender=sender,
        to=to or "",
        body=options.one_body(body, text),
        reply_to=reply_to,
        ask=ask,
        urgency=urgency,
        ttl=ttl,
        delay=delay,
        key=key,
        strict=strict,
        confirm=confirm,
        url=url,
        as_json=as_json,
    )


@click.command()
@click.argument("number", metavar="ID", type=_NUMBER)
@options.own_or_session("Your own mailbox", "--name", "name")
@options.body
@click.option("--news", is_flag=True, help="News on the way: if that is a question, it stays open.")
@options.url
@options.as_json
def reply(
    number: int,
    name: str | None,
    body: str | None,
    text: str | None,
    news: bool,
    url: str | None,
    as_json: bool,
) -> int:
    """Reply to a message that you got or sent. If it is a question, that answers it.

    \b
    Examples:
      claude-mailbox reply --name me 4711 --body "Yes, deploy."
      claude-mailbox reply --name me 4711 --news "I am looking into it."
    """
    return sending.send(
        sender=name,
        option="--name",
        body=options.one_body(body, text),
        reply_to=number,
        news=news,
        url=url,
        as_json=as_json,
    )


@click.command()
@_SENDER
@options.mailbox("--to", "to", "The mailbox that is asked.")
@options.body
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help=f"How long to wait for the answer; {conversation.DEFAULT_SECONDS:.0f} by default.",
)
@options.url
@options.as_json
def ask(
    sender: str | None,
    to: str,
    body: str | None,
    text: str | None,
    timeout: float | None,
    url: str | None,
    as_json: bool,
) -> int:
    """Send a question, wait for the answer, and print its text.

    When the time is over, the question stays open for a day: the answer comes as mail.

    Exit codes: 0 answered, 1 error or no answer will come, 2 daemon unreachable, 3 no answer yet.

    \b
    Example:
      claude-mailbox ask --from ci --to backend-1a2b3c4d --body "May I deploy?"
    """
    return conversation.ask(
        sender=sender,
        to=to,
        body=options.one_body(body, text),
        timeout=timeout,
        url=url,
        as_json=as_json,
    )
