"""One tree of errors: each class knows its stable code, its HTTP status and its exit code.

Every process of ours imports this, and so do hooks, which must start fast: what the daemon alone
raises is in `claude_mailbox.refusals`.
"""


class MailboxError(Exception):
    """Base class; never raised itself. ``str(error)`` is one sentence that says what to do.

    Attributes:
        code: stable word for programs (the ``reason`` of a REST error).
        status: HTTP status of the answer.
        exit_code: exit status of the command line.
        retry_after: seconds after which trying again makes sense, or None.
        challenge: the header ``WWW-Authenticate`` (RFC 6750), or None.
    """

    code = "error"
    status = 500
    exit_code = 1
    retry_after: "int | None" = None
    challenge: "str | None" = None

    def details(self) -> "dict[str, object]":
        """Return further JSON fields that belong in the answer."""
        return {}


class BadRequest(MailboxError):
    """A field, header, parameter or the JSON itself is missing or malformed."""

    code = "bad-request"
    status = 400


class InvalidName(BadRequest):
    """A mailbox name is empty, too long or has characters that it must not have."""

    code = "invalid-name"


class Renamed(MailboxError):
    """The mailbox that is watched has another name now."""

    code = "renamed"
    status = 409

    def __init__(self, old: str, to: str) -> None:
        super().__init__(f"Mailbox '{old}' was renamed to '{to}': use that name.")
        self.to = to

    def details(self) -> "dict[str, object]":
        return {"to": self.to}


class QuotaFull(MailboxError):
    """A limit on mailboxes, pending messages or waiters is reached; nothing was stored."""

    code = "quota-full"
    status = 429
    retry_after = 5


class Unavailable(MailboxError):
    """The daemon cannot store or read right now; nothing was stored."""

    code = "unavailable"
    status = 503
    retry_after = 2


class ShuttingDown(Unavailable):
    """The daemon is starting or stopping."""

    code = "shutting-down"
    retry_after = 1


class ConfigError(MailboxError):
    """A configuration file or flag is wrong; the sentence names the key."""

    code = "config"


class StartupError(MailboxError):
    """The daemon cannot start: locked home, taken port, foreign or corrupt database."""

    code = "startup"


class DiskFailed(MailboxError):
    """What was written to the disk may be lost, so the daemon ends."""

    code = "disk-failed"


class AutostartError(MailboxError):
    """The platform's service manager is missing or refused; the sentence says what to do."""

    code = "autostart"


class OutputLost(MailboxError):
    """Standard output is closed or broken, so the message was put back."""

    code = "output-lost"


class PipeClosed(OutputLost):
    """The reader of standard output has gone, and no message was lost."""


class DaemonUnreachable(MailboxError):
    """No daemon answers at the address."""

    code = "unreachable"
    status = 503
    exit_code = 2
