"""Groups: who gets a message to ``@name``.

There are three kinds. ``@all`` has the sessions that were active in the last hour, and
``@<project>`` the sessions of that project; nobody joins these. Any other group has the members that
joined it.

A session whose client was killed is in neither ``@all`` nor its project's group. Mail to ``@all``
rings nobody unless its urgency is high.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from claude_mailbox.daemon.delivery.parties import processes
from claude_mailbox.daemon.delivery.parties.presence import Presence
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.errors import BadRequest
from claude_mailbox.model.drafts import ALL, Draft
from claude_mailbox.model.groups import PREFIX, Group, ProjectSession
from claude_mailbox.model.mail import GroupReceipt, Receipt
from claude_mailbox.refusals import ConfirmationNeeded, EmptyGroup

# A message to more receivers than this needs ``confirm``.
CONFIRM_ABOVE = 5
_ACTIVE_MILLISECONDS = 3600 * 1000


class Groups:
    """All groups. Every method that is ``async`` may raise what ``Ledger.run`` raises.

    Args:
        ledger: where members are kept.
        presence: knows who was active since that was last written.
        clock: returns the time in milliseconds since the epoch.
        max_recipients: how many one message may go to.
    """

    def __init__(
        self, ledger: Ledger, presence: Presence, clock: Callable[[], int], max_recipients: int
    ) -> None:
        self._ledger = ledger
        self._presence = presence
        self._clock = clock
        self._max_recipients = max_recipients

    async def join(self, mailbox: str, name: str) -> Group:
        """Make a mailbox a member; return the group.

        Raises:
            BadRequest: if nobody joins that one.
        """
        now = self._clock()

        def job(transaction: Transaction) -> Group:
            if name == ALL or name in _projects(transaction.groups.project_sessions()):
                whose = "all active sessions" if name == ALL else "all sessions of that project"
                raise BadRequest(f"'{name}' is the group of {whose}: nobody joins or leaves it.")
            transaction.groups.join(name, mailbox, now)
            return Group(name, "joined", transaction.groups.members(name)[name])

        return await self._ledger.run(job)

    async def leave(self, mailbox: str, name: str) -> Group:
        """End the membership of a mailbox, if there is one; return the group."""

        def job(transaction: Transaction) -> Group:
            transaction.groups.leave(name, mailbox)
            return Group(name, "joined", transaction.groups.members(name).get(name, ()))

        return await self._ledger.run(job)

    async def groups(self) -> Sequence[Group]:
        """Return all groups that somebody belongs to, by name."""
        now = self._clock()
        joined, sessions = await self._ledger.run(
            lambda transaction: (
                transaction.groups.members(),
                transaction.groups.project_sessions(),
            ),
            durable=False,
        )
        running = self._running(sessions, now)
        found = [
            Group(name, _kind(name, running), _members(name, joined, running, now))
            for name in sorted({ALL, *joined, *_projects(running)})
        ]
        return [group for group in found if group.members]

    def distribute(
        self,
        transaction: Transaction,
        draft: Draft,
        now: int,
        store: Callable[[Draft], Receipt],
    ) -> GroupReceipt:
        """Store a copy for each member but the sender, within a job of the ledger.

        Args:
            transaction: the job's.
            draft: the message to the group.
            now: milliseconds since the epoch.
            store: stores one copy.

        Raises:
            EmptyGroup: if there is no member but the sender.
            ConfirmationNeeded: if there are many, and the draft does not confirm that.
            BadRequest: if there are too many.
        """
        first = transaction.groups.sent_before(draft, now)
        if first is not None:
            return _receipt(draft, transaction.groups.copies(first))
        sender = transaction.mailboxes.present_name(draft.sender)
        names = [name for name in self.members(transaction, draft.to, now) if name != sender]
        self._check(draft, names)
        copies = [store(replace(draft, to=name, key=None, group=draft.to)) for name in names]
        answer = _receipt(draft, copies)
        transaction.groups.mark(draft.to, [copy.id for copy in copies])
        transaction.groups.keep_key(draft, copies[0])
        return answer

    def _check(self, draft: Draft, names: Sequence[str]) -> None:
        if not names:
            raise EmptyGroup(
                f"The group '{draft.to}' has no other members: 'claude-mailbox groups' lists the"
                " groups. Nothing was stored."
            )
        if len(names) > self._max_recipients:
            raise BadRequest(
                f"'{draft.to}' has {len(names)} other members; a message goes to at most"
                f" {self._max_recipients} (maxRecipients). Nothing was stored: write to fewer."
            )
        if len(names) > CONFIRM_ABOVE and not draft.is_confirmed:
            raise ConfirmationNeeded(
                f"The message would go to {len(names)} mailboxes, and nothing was stored: send it"
                " again with 'confirm' true if you mean that.",
                list(names),
            )

    def members(self, transaction: Transaction, name: str, now: int) -> Sequence[str]:
        """Return who belongs to a group, within a job of the ledger."""
        running = self._running(transaction.groups.project_sessions(), now)
        return _members(name, transaction.groups.members(name), running, now)

    def _running(self, sessions: Iterable[ProjectSession], now: int) -> Sequence[ProjectSession]:
        """Return the sessions whose client runs, or that were lately active if that is unknown."""
        found = []
        for session in sessions:
            seen = self._presence.last_seen(session.mailbox) or 0
            active_at = max(session.active_at, seen)
            if session.clients:
                is_alive = any(processes.is_alive(key) for key in session.clients)
            else:
                is_alive = _is_active(active_at, now)
            if is_alive:
                found.append(
                    ProjectSession(session.mailbox, session.project, active_at, session.clients)
                )
        return found


def _receipt(draft: Draft, copies: Sequence[Receipt]) -> GroupReceipt:
    first = copies[0]
    return GroupReceipt(
        id=first.id,
        sender=first.sender,
        group=draft.to,
        sent_at=first.sent_at,
        copies=copies,
        is_quiet=replace(draft, group=draft.to).is_quiet,
        duplicate=first.duplicate,
    )


def _members(
    name: str, joined: Mapping[str, Sequence[str]], running: Iterable[ProjectSession], now: int
) -> Sequence[str]:
    if name == ALL:
        return [session.mailbox for session in running if _is_active(session.active_at, now)]
    project = [session.mailbox for session in running if _group_of(session) == name]
    return list(dict.fromkeys([*joined.get(name, ()), *project]))


def _kind(name: str, running: Iterable[ProjectSession]) -> str:
    if name == ALL:
        return "all"
    return "project" if name in _projects(running) else "joined"


def _projects(sessions: Iterable[ProjectSession]) -> set[str]:
    return {group for session in sessions if (group := _group_of(session)) is not None}


def _group_of(session: ProjectSession) -> str | None:
    return None if session.project is None else PREFIX + session.project


def _is_active(active_at: int, now: int) -> bool:
    return active_at > now - _ACTIVE_MILLISECONDS
