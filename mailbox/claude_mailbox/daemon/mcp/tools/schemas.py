"""Names, descriptions and schemas of the tools.

They are written by hand to be short, because they are in the context window of every session.
"""

from collections.abc import Mapping
from dataclasses import dataclass

WATCH_DEFAULT = 25.0
WATCH_LIMIT = 50.0
# The lowest limit of a result: parts of shorter ones would have hardly any text.
LEAST_CHARACTERS = 1000

_TEXT = {"type": "string"}
_NAME = {"type": "string", "description": "Your mailbox"}
# Without this, Claude Code shows its model only a preview of more than 50,000 characters.
_LONG = {"anthropic/maxResultSizeChars": 500_000}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, as clients see it.

    Attributes:
        properties: its arguments, each with its JSON schema.
        required: arguments that must be given.
        meta: what goes into ``_meta``, or None.
    """

    name: str
    description: str
    properties: Mapping[str, object]
    required: tuple[str, ...] = ()
    is_read_only: bool = False
    is_idempotent: bool = False
    meta: Mapping[str, object] | None = None

    def schema(self) -> dict[str, object]:
        """Return the JSON schema of the arguments."""
        schema = {"type": "object", "additionalProperties": False, "properties": self.properties}
        return {**schema, "required": list(self.required)} if self.required else schema


# Codex searches deferred tools by words in their descriptions, so these use everyday words.
TOOLS = (
    Tool(
        "send",
        "Send mail: a message to a peer's mailbox. It is stored safely before this returns, and wakes"
        " the peer. 'recipient.known' false: nobody has used that name yet. To answer a message, give"
        " its id as 'reply_to'.",
        {
            "to": {"type": "string", "description": "The peer's mailbox, or a @group"},
            "body": {"type": "string"},
            "reply_to": {"type": "integer"},
            "ask": {
                "type": "number",
                "description": "Seconds in which you want a reply: you get it, or mail that none"
                " will come",
            },
            "wait": {"type": "number", "description": "Wait here for the reply; at most 50"},
            "urgency": {
                "enum": ["low", "normal", "high"],
                "description": "low: news, wakes nobody",
            },
            "confirm": {"type": "boolean", "description": "Yes, to more than 5"},
            "from": _NAME,
        },
        ("to", "body"),
    ),
    Tool(
        "check_inbox",
        "Check your inbox: take the mail that waits, oldest first. 'remaining' above 0: call again. A message with"
        " 'parts' is too long for one result: call with 'part' 2, and so on, to the last; it counts"
        " as delivered only then.",
        {
            "name": _NAME,
            "limit": {"type": "integer", "description": "Most messages to take"},
            "max_chars": {
                "type": "integer",
                "description": f"Longest result; at least {LEAST_CHARACTERS}",
            },
            "part": {"type": "integer"},
        },
        meta=_LONG,
    ),
    Tool(
        "peek_inbox",
        "Count the mail that waits in your inbox without taking it.",
        {"name": _NAME},
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "list_mailboxes",
        "List the mailboxes used last, and how many messages each has sent you that wait. 'more':"
        " how many others there are.",
        {"name": _NAME},
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "rename",
        "Give your mailbox another name. Mail and watchers move along; mail to the old name is"
        " forwarded.",
        {"current_name": _NAME, "new_name": {"type": "string"}},
        ("new_name",),
    ),
    Tool(
        "watch",
        "Wait until mail comes and take one message; 'message' is null when none came in time. Parts:"
        " see check_inbox.",
        {
            "name": _NAME,
            "timeout": {"type": "number", "description": "Seconds, at most 50; default 25"},
        },
        meta=_LONG,
    ),
    Tool(
        "history",
        "Read and search the mail that you sent and got, newest first. 'more': pass the last id as"
        " 'before'.",
        {
            "query": {"type": "string", "description": 'Words, "quoted phrases"'},
            "with": {"type": "string", "description": "Only with this mailbox"},
            "thread": {"type": "integer"},
            "before": {"type": "integer"},
            "name": _TEXT,
        },
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "message",
        "Say what became of a message that you sent or got.",
        {"id": {"type": "integer"}, "name": _TEXT},
        ("id",),
        is_read_only=True,
        is_idempotent=True,
    ),
    Tool(
        "join",
        "Join a group, such as @reviewers, to get its mail.",
        {"group": _TEXT, "name": _TEXT},
        ("group",),
        is_idempotent=True,
    ),
    Tool(
        "leave",
        "Leave a group.",
        {"group": _TEXT, "name": _TEXT},
        ("group",),
        is_idempotent=True,
    ),
    Tool(
        "describe",
        "Say in a line what you work on; list_mailboxes shows it.",
        {"text": _TEXT, "name": _NAME},
        ("text",),
        is_idempotent=True,
    ),
)
