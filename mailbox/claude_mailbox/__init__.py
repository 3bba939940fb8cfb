"""claude-mailbox: mail between coding-agent sessions that run side by side."""

__version__ = "0.1.0"
