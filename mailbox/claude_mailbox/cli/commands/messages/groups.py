"""The commands about groups, and the descriptions of mailboxes."""

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client.mail import groups as grouping

_own = options.mailbox(
    "--name", "name", "Your mailbox; else CLAUDE_MAILBOX_NAME.", variable=options.NAME_VARIABLE
)
_group = click.argument("group", metavar="@GROUP")


@click.command()
@options.url
@options.as_json
def groups(url: str | None, as_json: bool) -> int:
    """List the groups and who belongs to them.

    What is sent to a group goes to all its members but the sender. Sessions that work in one
    repository are a group by themselves, @ and the project's name; so are all sessions of the last
    hour, @all.

    \b
    Example:
      claude-mailbox groups
    """
    return grouping.groups(url=url, as_json=as_json)


@click.command()
@_group
@_own
@options.url
@options.as_json
def join(group: str, name: str, url: str | None, as_json: bool) -> int:
    """Join a group, which need not exist yet.

    \b
    Example:
      claude-mailbox join --name backend-a3f91b2c @reviewers
    """
    return grouping.join(name=name, group=group, url=url, as_json=as_json)


@click.command()
@_group
@_own
@options.url
@options.as_json
def leave(group: str, name: str, url: str | None, as_json: bool) -> int:
    """Leave a group.

    \b
    Example:
      claude-mailbox leave --name backend-a3f91b2c @reviewers
    """
    return grouping.leave(name=name, group=group, url=url, as_json=as_json)


@click.command()
@click.argument("text")
@_own
@options.url
@options.as_json
def describe(text: str, name: str, url: str | None, as_json: bool) -> int:
    """Say what a mailbox is for, in at most 200 characters: others see it in the list.

    \b
    Example:
      claude-mailbox describe --name backend-a3f91b2c "the login service"
    """
    return grouping.describe(name=name, text=text, url=url, as_json=as_json)
