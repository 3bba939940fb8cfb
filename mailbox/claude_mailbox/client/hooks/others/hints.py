"""Tells a model that mail waits, where a text with the mail itself might not arrive.

Nothing is taken, so nothing can be lost.
"""

import os

from claude_mailbox.paths import bell_path, bells_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.client.reach.api import Daemon, Identity

# Where it prolongs a turn it looks like the user's own text, so it is always the same.
HINT = (
    "Mail has come for this session: unless it is shown here, take it with the tool `check_inbox`"
    " of the MCP server `mailbox`."
)
_SUFFIX = ".hinted"


def has_mail(daemon: "Daemon", identity: "Identity") -> bool:
    """Return whether mail waits."""
    value = daemon.call("GET", "/v1/peek", identity=identity).value
    return isinstance(value, dict) and bool(value.get("pending"))


def has_new_mail(daemon: "Daemon", identity: "Identity", session: str) -> bool:
    """Return whether mail above urgency ``low`` waits that no earlier hint was about.

    A model that does not take it is told only once.
    """
    if not has_mail(daemon, identity):
        return False
    value = daemon.call("GET", "/v1/peek", identity=identity, query=("bodies=true",)).value
    messages = value.get("messages") if isinstance(value, dict) else None
    newest = max(
        [
            int(each["id"])
            for each in (messages if isinstance(messages, list) else [])
            if each.get("urgency") != "low"
        ],
        default=0,
    )
    path = bell_path(session) + _SUFFIX
    if newest <= _last(path):
        return False
    try:
        os.makedirs(bells_path(), mode=0o700, exist_ok=True)
        with open(path, "w") as file:
            file.write(str(newest))
    except OSError:
        return False  # it might never end
    return True


def forget_hints(session: str) -> None:
    """Remove what is kept of a session that has ended."""
    try:  # noqa: SIM105  # contextlib costs 4 ms
        os.unlink(bell_path(session) + _SUFFIX)
    except OSError:
        pass


def _last(path: str) -> int:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
