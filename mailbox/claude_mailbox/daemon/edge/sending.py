"""Sending to a mailbox or a group, for REST and MCP."""

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.output import shapes
from claude_mailbox.daemon.edge.output.render import group_receipt_json, receipt_json
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import is_group
from claude_mailbox.model.mail import GroupReceipt


async def send(broker: Broker, draft: Draft) -> shapes.Receipt | shapes.GroupReceipt:
    """Send a message; return the JSON of its receipt. Raises what the broker raises."""
    if not is_group(draft.to):
        return receipt_json(await broker.send(draft), quiet=draft.is_quiet)
    receipt = await broker.send_to_group(draft)
    if isinstance(receipt, GroupReceipt):
        return group_receipt_json(receipt)
    return receipt_json(receipt, quiet=draft.is_quiet)
