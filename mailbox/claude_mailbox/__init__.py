"""claude-mailbox: mail between coding-agent sessions that run side by side.

`Mailbox` and `AsyncMailbox` are the library for Python programs.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from claude_mailbox.library import AsyncMailbox as AsyncMailbox
    from claude_mailbox.library import AsyncMessage as AsyncMessage
    from claude_mailbox.library import Mailbox as Mailbox
    from claude_mailbox.library import Message as Message


def __getattr__(name: str) -> object:
    # The commands that hooks run import this package, too, and have no time for httpx.
    if name in {"AsyncMailbox", "AsyncMessage", "Mailbox", "Message"}:
        from claude_mailbox import library

        return getattr(library, name)
    raise AttributeError(f"module 'claude_mailbox' has no attribute {name!r}")
