"""Stores a message within a job: one for a mailbox, or a copy for each member of a group.

Beside that it applies the limits, and suggests other names for a mailbox that nobody has used.
"""

from collections.abc import Sequence

from claude_mailbox.config import Config
from claude_mailbox.daemon.delivery.conversation import sending
from claude_mailbox.daemon.delivery.conversation.change import Change
from claude_mailbox.daemon.delivery.sending import limits
from claude_mailbox.daemon.delivery.sending.groups import Groups
from claude_mailbox.daemon.delivery.sending.limits import SessionsByMailbox
from claude_mailbox.daemon.delivery.sending.suggestions import Suggestions
from claude_mailbox.daemon.store.operations.mail import LookUpPresence
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import Draft
from claude_mailbox.model.groups import is_group
from claude_mailbox.model.limits import MINUTE, Limits
from claude_mailbox.model.mail import GroupReceipt, Receipt
from claude_mailbox.model.sessions import SessionFacts
from claude_mailbox.refusals import UnknownRecipient


class Sending:
    """Stores messages.

    Args:
        config: has the limits.
        groups: knows the members of groups.
        presence: returns when a mailbox was last seen, and whether it is watched.
    """

    def __init__(self, config: Config, groups: Groups, presence: LookUpPresence) -> None:
        self._max_pending = config.max_pending_per_mailbox
        self._groups = groups
        self._presence = presence
        self._suggestions = Suggestions()
        self._limits = Limits(
            per_minute=config.max_per_minute,
            guard_after=config.guard_after,
            hold_after=config.hold_after,
            window=config.guard_minutes * MINUTE,
            user=config.user_mailbox,
        )

    def store(self, change: Change, draft: Draft) -> tuple[Receipt, SessionsByMailbox]:
        """Store one message; return its receipt, and the session of the mailbox.

        Raises:
            BadRequest: if it is a question to a group.
            MailboxError: see ``Broker.send``.
        """
        if draft.ask is not None and is_group(draft.to):
            raise BadRequest(
                "A question goes to one mailbox, so that it is known who has to answer: ask a member"
                " of the group ('claude-mailbox groups' lists them), or leave 'ask' out; members"
                " can still reply."
            )
        thread = None
        if draft.reply_to is not None:
            thread, draft = sending.address(change, draft, draft.reply_to)
        transaction = change.transaction
        receipt = transaction.mail.send(
            draft, change.now, thread=thread, max_pending=self._max_pending, presence=self._presence
        )
        sessions = transaction.shown.facts(receipt.recipient)
        if sessions or receipt.duplicate or not receipt.known:
            self._complete(change, draft, receipt, sessions)
        if not receipt.duplicate and not receipt.is_held and draft.delay is None:
            sending.arrive(
                change, receipt.id, draft.reply_to, receipt.recipient, quiet=draft.is_quiet
            )
        return receipt, sessions

    def distribute(
        self, change: Change, draft: Draft
    ) -> tuple[GroupReceipt | Receipt, SessionsByMailbox]:
        """Store a copy for each member of a group, or one message for a mailbox of that name.

        Returns:
            The receipt, and the sessions of the mailboxes.

        Raises:
            MailboxError: see ``Broker.send_to_group``.
        """
        is_mailbox = change.transaction.mailboxes.present_name(draft.to) is not None
        if is_mailbox or draft.ask is not None:
            return self.store(change, draft)
        found: dict[str, tuple[SessionFacts, Sequence[str]]] = {}

        def store(copy: Draft) -> Receipt:
            receipt, sessions = self.store(change, copy)
            found.update(sessions)
            return receipt

        receipt = self._groups.distribute(change.transaction, draft, change.now, store)
        if receipt.duplicate:
            found = dict(change.transaction.shown.facts())
        return receipt, found

    def _complete(
        self, change: Change, draft: Draft, receipt: Receipt, sessions: SessionsByMailbox
    ) -> None:
        """Add suggestions and limits to the receipt, or raise why the message is refused."""
        transaction, now = change.transaction, change.now
        if not receipt.known:
            names = self._suggestions.names(transaction, receipt.recipient, receipt.sender, now)
            if draft.is_strict and not receipt.duplicate:
                raise UnknownRecipient(
                    f"Nobody has used a mailbox '{receipt.recipient}', and nothing was stored:"
                    " check the name, or send without 'strict'.",
                    list(names),
                )
            receipt.suggestions = names
        if receipt.duplicate:
            receipt.is_held = transaction.exchanges.is_held(receipt.id)
        elif sessions:
            told = limits.count(self._limits, transaction, receipt, sessions, now)
            if told is not None:
                receipt.guard = told
                receipt.is_held = told.is_held
                receipt.pending -= told.is_held
