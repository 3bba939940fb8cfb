"""Errors that only the daemon raises: why a request is refused."""

from claude_mailbox.errors import MailboxError, QuotaFull, Unavailable


class Unauthorized(MailboxError):
    """A request from another machine has no token, or one that is not known."""

    code = "unauthorized"
    status = 401
    challenge = 'Bearer realm="claude-mailbox"'


class TokenInvalid(Unauthorized):
    """The token is unknown, expired or revoked."""

    code = "invalid-token"
    challenge = 'Bearer realm="claude-mailbox", error="invalid_token"'


class TooManyTries(MailboxError):
    """Too many wrong tokens came from one address."""

    code = "too-many-tries"
    status = 429
    retry_after = 60


class Forbidden(MailboxError):
    """The Host or Origin is not one of ours, or the caller may not do that."""

    code = "forbidden"
    status = 403


class NameMismatch(Forbidden):
    """The caller acts for another mailbox than its own."""

    code = "name-mismatch"


class NotAllowed(Forbidden):
    """The token is not for that mailbox, or not for such a request."""

    code = "not-allowed"
    challenge = 'Bearer realm="claude-mailbox", error="insufficient_scope"'


class NotFound(MailboxError):
    """No such route, no such mailbox, or no such message of the caller's."""

    code = "not-found"
    status = 404


class MethodNotAllowed(MailboxError):
    """The route exists, for another method; *allowed* is the value of the header ``Allow``."""

    code = "method-not-allowed"
    status = 405

    def __init__(self, sentence: str, allowed: str) -> None:
        super().__init__(sentence)
        self.allowed = allowed


class RequestTimeout(MailboxError):
    """The client was too slow in sending its request."""

    code = "request-timeout"
    status = 408


class TargetExists(MailboxError):
    """The new name of a rename is taken."""

    code = "target-exists"
    status = 409


class UnknownRecipient(NotFound):
    """A strict send to a mailbox that nobody has used; *suggestions* are names that may be meant."""

    code = "unknown-recipient"

    def __init__(self, sentence: str, suggestions: "list[str]") -> None:
        super().__init__(sentence)
        self.suggestions = suggestions

    def details(self) -> "dict[str, object]":
        return {"suggestions": self.suggestions}


class EmptyGroup(NotFound):
    """Nobody but the sender is in the group."""

    code = "empty-group"


class ConfirmationNeeded(MailboxError):
    """A message would go to many members of a group, and its sender has not confirmed that."""

    code = "confirm"
    status = 409

    def __init__(self, sentence: str, recipients: "list[str]") -> None:
        super().__init__(sentence)
        self.recipients = recipients

    def details(self) -> "dict[str, object]":
        return {"recipients": self.recipients}


class KeyReused(MailboxError):
    """An idempotency key was used before with another text or receiver."""

    code = "key-reused"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "This idempotency key was used for another message: send this one with a new key."
        )


class Unanswerable(MailboxError):
    """Nobody can answer the question, or read the reply; nothing was stored."""

    code = "unanswerable"
    status = 409


class MutualAsk(MailboxError):
    """Two would wait for each other's answer; nothing was stored."""

    code = "mutual-ask"
    status = 409


class TooLarge(MailboxError):
    """A message or a request is over its limit."""

    code = "too-large"
    status = 413


class WrongContentType(MailboxError):
    """The request's body is not declared as JSON."""

    code = "wrong-content-type"
    status = 415


class TooManyMessages(QuotaFull):
    """A mailbox writes more messages a minute to a session than it may; nothing was stored.

    *retry_at* is the time, in ISO 8601, from which on another one is taken.
    """

    code = "too-many-messages"

    def __init__(self, sentence: str, retry_at: "str | None", seconds: int) -> None:
        super().__init__(sentence)
        self.retry_at = retry_at
        self.retry_after = seconds

    def details(self) -> "dict[str, object]":
        return {"retryAt": self.retry_at}


class DatabaseAway(Unavailable):
    """The database server cannot be reached; everything continues when it is back."""


class Overloaded(Unavailable):
    """The daemon's memory for slow clients is full."""

    code = "overloaded"


class OutcomeUnknown(Unavailable):
    """It is unknown whether it was stored: the disk failed, or the connection to the database."""

    code = "outcome-unknown"
