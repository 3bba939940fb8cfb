"""The tools ``history`` and ``message``, which take no mail."""

from collections.abc import Mapping

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.input import arguments as given
from claude_mailbox.daemon.edge.input.arguments import Arguments
from claude_mailbox.daemon.edge.output.render import for_models, history_json, status_json
from claude_mailbox.daemon.mcp.tools.parts import cut, json_size
from claude_mailbox.model.history import HistoryQuery, check_words
from claude_mailbox.model.mail import check_message

HISTORY_MESSAGES = 20
HISTORY_CHARACTERS = 20_000

Content = Mapping[str, object]


class HistoryTools:
    """The handlers of these tools.

    Args:
        broker: has the history.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def history(self, mailbox: str, arguments: Arguments, room: int) -> Content:
        """Return messages of *mailbox* that fit into a result of *room* characters."""
        room = min(room, HISTORY_CHARACTERS)
        query = HistoryQuery(
            words=check_words(given.text(arguments, "query"), "query"),
            peer=given.name(arguments, "with"),
            thread=_number(arguments, "thread"),
            before=_number(arguments, "before"),
            limit=HISTORY_MESSAGES,
            max_characters=room,
        )
        page = await self._broker.history.page(mailbox, query)
        room -= json_size({"messages": [], "more": False})
        messages: list[Content] = []
        for entry in page.entries:
            message = for_models(history_json(entry), self._broker.user)
            if not messages:
                message = _shortened(message, entry.length, room)
            room -= json_size(message) + 1
            if room < -1:
                break
            messages.append(message)
        return {"messages": messages, "more": page.has_more or len(messages) < len(page.entries)}

    async def message(self, mailbox: str, arguments: Arguments) -> Content:
        """Return what became of a message that *mailbox* sent or got."""
        number = check_message(given.whole(arguments, "id", 0, 1), "id")
        return status_json(await self._broker.receipts.status(mailbox, number))


def _number(arguments: Arguments, key: str) -> int | None:
    if arguments.get(key) in (None, ""):
        return None
    return check_message(given.whole(arguments, key, 0, 1), key)


def _shortened(message: Content, length: int, room: int) -> Content:
    """Return a message of at most *room* characters, with its body cut if necessary."""
    if json_size(message) <= room:
        return message
    frame = {**message, "body": "", "bodyLength": length}
    return {**frame, "body": cut(str(message["body"]), room - json_size(frame))[0]}
