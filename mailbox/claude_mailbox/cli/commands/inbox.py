"""``inbox``: open the pages for people in the browser."""

import webbrowser

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.client import codec
from claude_mailbox.client.reach.api import Daemon
from claude_mailbox.client.reach.proof import home_proof
from claude_mailbox.client.terminal import output


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Only print the address.")
@options.url
@options.as_json
def inbox(only_print: bool, url: str | None, as_json: bool) -> int:
    """Open the web inbox: who is there, what they say, and a place to write to them.

    The address is good once, within a minute; the browser then keeps a cookie for 30 days.

    \b
    Examples:
      claude-mailbox inbox
      claude-mailbox inbox --print
    """
    daemon = Daemon(url)
    proof = {} if daemon.address.wants_token else home_proof(daemon)
    answer = daemon.call("POST", "/v1/inbox", body=proof).value
    if not isinstance(answer, dict) or not isinstance(answer.get("url"), str):
        raise daemon.wrong_server()
    address = answer["url"]
    if daemon.address.wants_token:
        # The daemon may not know by what name it is reached: a proxy may be before it.
        address = answer["url"] = f"{daemon.address}{address[address.find('/inbox/') :]}"
    if as_json:
        output.write(codec.encode(answer) + "\n")
    elif only_print:
        output.write(address + "\n")
    elif webbrowser.open(address):
        output.write("The inbox is open in your browser.\n")
    else:
        output.write(f"Open this address in your browser, within a minute:\n{address}\n")
    return 0
