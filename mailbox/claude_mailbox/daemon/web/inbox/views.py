"""The pages that show mailboxes, groups, threads, messages and search results.

They take no mail, except from the user's own mailbox: what they show as new is delivered when the page
has left.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

from quart import request

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.output.handover import CUSTODY_KEY, Custody
from claude_mailbox.daemon.web.inbox import times
from claude_mailbox.daemon.web.inbox.fields import form_key, number_of, whole
from claude_mailbox.daemon.web.inbox.rendering import Renderer
from claude_mailbox.daemon.web.inbox.rows import Row, by_project, items
from claude_mailbox.model.groups import Group, check_group
from claude_mailbox.model.history import HistoryPage, HistoryQuery, check_words
from claude_mailbox.model.mail import check_message
from claude_mailbox.model.names import check_name
from claude_mailbox.refusals import NotFound

MAILBOXES_PER_PAGE = 100
MESSAGES_PER_PAGE = 50
# Most characters of a message in a list; its own page has all of it.
EXCERPT = 2_000
# Most characters of all messages on a page.
PAGE_CHARACTERS = 400_000
# Most members of a group that are named.
MEMBERS_SHOWN = 100

View = Callable[[], Coroutine[Any, Any, str]]


class Views:
    """The pages.

    Args:
        broker: what they show.
        render: renders them.
    """

    def __init__(self, broker: Broker, render: Renderer) -> None:
        self._broker = broker
        self._render = render

    def views(self) -> Iterable[tuple[str, View]]:
        """Return the paths and their views."""
        return (
            ("/", self.overview),
            ("/inbox/mailbox", self.mailbox),
            ("/inbox/groups", self.groups),
            ("/inbox/group", self.group),
            ("/inbox/thread", self.thread),
            ("/inbox/message", self.message),
            ("/inbox/search", self.search),
        )

    async def overview(self) -> str:
        show_all = request.args.get("all") == "1"
        containing = request.args.get("find", "").strip()
        page = whole(request.args.get("page"), 1)
        rows, count = await self._broker.listings.page(
            page,
            MAILBOXES_PER_PAGE,
            show_hidden=show_all or bool(containing),
            containing=containing,
        )
        recent = await self._broker.history.recent(
            before=number_of("before"), limit=MESSAGES_PER_PAGE, excerpt=EXCERPT
        )
        return await self._render(
            "overview.html",
            projects=by_project(rows, self._broker.user),
            count=count,
            page=page,
            pages=-(-count // MAILBOXES_PER_PAGE),
            show_all=show_all,
            find=containing,
            recent=recent,
            items=items(recent.entries),
        )

    async def mailbox(self) -> str:
        name = await self._broker.presence.present(check_name(request.args.get("name")))
        fresh: set[int] = set()
        if name == self._broker.user:
            fresh = await self._take_own()
        history = await self._broker.history.page(
            name,
            HistoryQuery(
                peer=request.args.get("with") or None,
                before=number_of("before"),
                limit=MESSAGES_PER_PAGE,
                max_characters=PAGE_CHARACTERS,
            ),
        )
        found = await self._broker.listings.one(name)
        if found is None and name != self._broker.user and not history.entries:
            raise NotFound(f"There is no mailbox '{name}': the first page lists all mailboxes.")
        pending = await self._broker.peek(name)
        return await self._render(
            "mailbox.html",
            name=name,
            row=None if found is None else Row(*found),
            history=history,
            items=items(history.entries),
            fresh=fresh,
            pending=pending,
            peer=request.args.get("with") or "",
        )

    async def _take_own(self, thread: int | None = None) -> set[int]:
        """Take what waits for the user; return the numbers. It is settled when the page has left.

        A page that updates itself takes nothing, because the user may not be looking at it.
        """
        if request.method != "GET" or "X-Inbox-Live" in request.headers:
            return set()
        if not (await self._broker.peek(self._broker.user)).pending:
            return set()
        custody: Custody = cast("Any", request.scope)[CUSTODY_KEY]
        claim = await self._broker.check(
            self._broker.user, custody, limit=MESSAGES_PER_PAGE, by="inbox", thread=thread
        )
        return {delivery.id for delivery in claim.deliveries}

    async def groups(self) -> str:
        found = await self._broker.groups.groups()
        return await self._render("groups.html", groups=found, members_shown=MEMBERS_SHOWN)

    async def group(self) -> str:
        """Show the members of a group, and the messages to it."""
        name = check_group(request.args.get("name"), "name")
        found = await self._broker.groups.groups()
        group = next((group for group in found if group.name == name), None)
        sent = await self._broker.history.recent(
            group=name, before=number_of("before"), limit=MESSAGES_PER_PAGE, excerpt=EXCERPT
        )
        if group is None and not sent.entries:
            raise NotFound(f"There is no group '{name}': the page of groups lists all groups.")
        return await self._render(
            "group.html",
            group=group or Group(name, "joined", ()),
            sent=sent,
            items=items(sent.entries),
            members_shown=MEMBERS_SHOWN,
        )

    async def thread(self) -> str:
        """Show the messages of a thread as a conversation, the newest at the end."""
        number = check_message(request.args.get("id"), "id")
        before = number_of("before")
        # An older page has nothing new.
        fresh = await self._take_own(number) if before is None else set()
        found = await self._broker.history.recent(
            thread=number, before=before, limit=MESSAGES_PER_PAGE, excerpt=EXCERPT
        )
        if not found.entries:
            raise NotFound(f"There is no thread {number}.")
        last = next(
            (
                e.status
                for e in found.entries
                if self._broker.user in (e.status.sender, e.status.recipient)
            ),
            None,
        )
        return await self._render(
            "thread.html",
            number=number,
            items=items(found.entries[::-1]),
            first=await self._one(number, EXCERPT),
            has_more=found.has_more,
            fresh=fresh,
            last=last,
            key=form_key(),
        )

    mailbox.carries_mail = thread.carries_mail = True  # type: ignore[attr-defined]

    async def message(self) -> str:
        number = check_message(request.args.get("id"), "id")
        found = await self._one(number, self._broker.max_body_bytes)
        if not found.entries:
            raise NotFound(f"There is no message {number}.")
        (entry,) = found.entries
        reader = await self._broker.listings.one(entry.status.recipient)
        return await self._render(
            "message.html",
            entry=entry,
            reader=None if reader is None else Row(*reader),
            is_unknown=request.args.get("unknown") == "1",
            key=form_key(),
        )

    async def _one(self, number: int, excerpt: int) -> HistoryPage:
        return await self._broker.history.recent(
            after=number - 1, before=number + 1, limit=1, excerpt=excerpt
        )

    async def search(self) -> str:
        words = check_words(request.args.get("q"), "q")
        given = request.args.get("mailbox", "").strip()
        days = whole(request.args.get("days"), 0)
        found = HistoryPage([], has_more=False)
        if words is not None:
            query = HistoryQuery(
                words=words,
                since=times.days_ago(days) if days else None,
                before=number_of("before"),
                limit=MESSAGES_PER_PAGE,
                max_characters=PAGE_CHARACTERS,
            )
            if given:
                name = await self._broker.presence.present(check_name(given, "mailbox"))
                found = await self._broker.history.page(name, query)
            else:
                found = await self._broker.history.search(query, excerpt=EXCERPT)
        return await self._render(
            "search.html",
            words=words or "",
            mailbox=given,
            days=days,
            found=found,
            items=items(found.entries),
            limit=MESSAGES_PER_PAGE,
        )
