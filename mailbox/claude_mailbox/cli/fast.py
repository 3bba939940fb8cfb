"""The fast command line: the commands that hooks and scripts run, without click.

What it does not understand (help, completion, mistakes) it leaves to the full command line, which
has the good error messages. Both call the same functions with the same keywords.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs 3 ms
    from collections.abc import Callable

_COMMON = {"--url": ("url", "text"), "--json": ("as_json", "flag")}

# Command -> module, function, {option: (keyword, kind)}, required keywords.
COMMANDS: "dict[str, tuple[str, str, dict[str, tuple[str, str]], tuple[str, ...]]]" = {
    "send": (
        "claude_mailbox.client.mail.sending",
        "send",
        {
            "--from": ("sender", "text"),
            "--to": ("to", "text"),
            "--body": ("body", "text"),
            "--reply-to": ("reply_to", "whole"),
            "--ask": ("ask", "number"),
            "--urgency": ("urgency", "text"),
            "--ttl": ("ttl", "number"),
            "--delay": ("delay", "number"),
            "--key": ("key", "text"),
            "--strict": ("strict", "flag"),
            "--confirm": ("confirm", "flag"),
            **_COMMON,
        },
        ("to", "body"),
    ),
    "peek": (
        "claude_mailbox.client.mail.commands",
        "peek",
        {"--name": ("name", "text"), "--bodies": ("bodies", "flag"), **_COMMON},
        ("name",),
    ),
    "check": (
        "claude_mailbox.client.mail.commands",
        "check",
        {"--name": ("name", "text"), "--limit": ("limit", "whole"), **_COMMON},
        ("name",),
    ),
    "check --hook": (
        "claude_mailbox.client.hooks.check",
        "check_hook",
        {
            "--hook": ("", "flag"),
            "--name": ("name", "text"),
            "--wake": ("wake", "flag"),
            "--url": ("url", "text"),
        },
        (),
    ),
    "rename": (
        "claude_mailbox.client.mail.commands",
        "rename",
        {"--name": ("name", "text"), "--to": ("to", "text"), **_COMMON},
        ("name", "to"),
    ),
    "session-announce": (
        "claude_mailbox.client.hooks.session",
        "announce",
        {
            "--peer-window-minutes": ("peer_window_minutes", "whole"),
            "--max-peers": ("max_peers", "whole"),
            "--url": ("url", "text"),
        },
        (),
    ),
    "session-end": ("claude_mailbox.client.hooks.session", "end", {"--url": ("url", "text")}, ()),
    "session-event": (
        "claude_mailbox.client.hooks.session",
        "event",
        {"--if-waiting": ("if_waiting", "flag"), "--url": ("url", "text")},
        (),
    ),
    "session-companion": (
        "claude_mailbox.client.hooks.companion",
        "run_companion",
        {
            "--session": ("session", "text"),
            "--client": ("client", "text"),
            "--url": ("url", "text"),
        },
        ("session",),
    ),
    "client-hook": (
        "claude_mailbox.client.hooks.others.hook",
        "client_hook",
        {
            "--client": ("client", "text"),
            "--moment": ("moment", "text"),
            "--url": ("url", "text"),
        },
        ("client", "moment"),
    ),
    "statusline": (
        "claude_mailbox.client.hooks.statusline",
        "statusline",
        {"--name": ("name", "text")},
        (),
    ),
    "session-rearm": ("claude_mailbox.client.hooks.session", "rearm", {}, ()),
    "session-tool-call": (
        "claude_mailbox.client.hooks.tool_call",
        "tool_call",
        {"--url": ("url", "text")},
        (),
    ),
    "client-headers": ("claude_mailbox.client.hooks.session", "client_headers", {}, ()),
    "serve": (
        "claude_mailbox.cli.serve",
        "serve",
        {
            "--port": ("port", "whole"),
            "--bind": ("bind", "text"),
            "--tls-cert": ("tls_cert", "text"),
            "--tls-key": ("tls_key", "text"),
            "--log-format": ("log_format", "text"),
            "--db-path": ("db_path", "text"),
            "--database": ("database_url", "text"),
            "--config": ("config_path", "text"),
            "--hide-after-minutes": ("hide_after_minutes", "whole"),
            "--delete-after-minutes": ("delete_after_minutes", "whole"),
            "--sweep-interval-minutes": ("sweep_interval_minutes", "whole"),
            "--json": ("as_json", "flag"),
        },
        (),
    ),
    "watch": (
        "claude_mailbox.client.mail.watch",
        "watch",
        {
            "--name": ("name", "text"),
            "--block": ("block", "flag"),
            "--follow": ("follow", "flag"),
            "--timeout": ("timeout", "number"),
            **_COMMON,
        },
        ("name",),
    ),
}


def find(arguments: list[str]) -> "tuple[Callable[..., int], dict[str, object]] | None":
    """Return the function for these arguments and its keywords, or None to leave them alone."""
    if not arguments or "_CLAUDE_MAILBOX_COMPLETE" in os.environ:
        return None
    command = arguments[0]
    if command == "check" and "--hook" in arguments:
        command = "check --hook"
    if command not in COMMANDS:
        return None
    module, function, options, required = COMMANDS[command]
    keywords = parse(arguments[1:], options)
    if keywords is None or not all(keyword in keywords for keyword in required):
        return None
    __import__(module)
    return getattr(sys.modules[module], function), keywords


def parse(
    arguments: list[str], options: "dict[str, tuple[str, str]]"
) -> "dict[str, object] | None":
    """Return the keywords for these arguments, or None if one is not understood."""
    keywords: dict[str, object] = {}
    left = iter(arguments)
    for argument in left:
        option, equals, value = argument.partition("=")
        if option not in options:
            return None
        keyword, kind = options[option]
        if kind == "flag":
            if equals:
                return None
            if keyword:
                keywords[keyword] = True
            continue
        if not equals:
            following = next(left, None)
            if following is None:
                return None
            value = following
        try:
            keywords[keyword] = _CONVERT[kind](value)
        except ValueError:
            return None
    return keywords


_CONVERT: "dict[str, Callable[[str], object]]" = {"text": str, "whole": int, "number": float}
