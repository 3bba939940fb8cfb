"""Mail as text for a terminal or a model. No body can pass for one of our own lines."""

from claude_mailbox.model.text import visible, visible_lines


def indented(body: str) -> str:
    """Return a body with control characters as escapes, all lines but the first indented."""
    return visible_lines(body.replace("\r\n", "\n")).replace("\n", "\n  ")


def quoted(name: str) -> str:
    """Return a name between quotes, on one line, so that it cannot pass for our own words."""
    return '"' + visible(name).replace('"', "\\x22") + '"'


def shell_word(name: str) -> str:
    """Return a name as one word of a shell's command line, whatever is in it."""
    shown = visible(name)
    if shown and all(c.isalnum() or c in "._-+:/@" for c in shown):
        return shown
    return "'" + shown.replace("'", "'\"'\"'") + "'"


def mail_line(sender: str, body: str, attempts: int) -> str:
    """Return a message as ``watch`` and ``check`` print it, without the final line feed."""
    mark = " (redelivered)" if attempts > 1 else ""
    return f"[Claude-Mailbox] Mail from {visible(sender)}{mark}: {indented(body)}"


def rename_line(new_name: str) -> str:
    """Return what ``watch`` prints when the mailbox is renamed, without the final line feed."""
    return f"[Claude-Mailbox] Mailbox renamed to '{visible(new_name)}'"
