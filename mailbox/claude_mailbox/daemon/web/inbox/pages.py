"""The pages: who is there, what goes by, a mailbox, a message, search, and writing.

Looking takes no mail from anybody, but for the person's own mailbox: what it shows as new counts as
delivered once the page has left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

from quart import Blueprint, Response, g, render_template, request

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.edge.handover import CUSTODY_KEY, Custody
from claude_mailbox.daemon.web.inbox import times
from claude_mailbox.daemon.web.inbox.access import COOKIE_SECONDS, InboxAccess
from claude_mailbox.daemon.web.inbox.fields import form_key, number_of, url, whole
from claude_mailbox.daemon.web.inbox.search import search
from claude_mailbox.daemon.web.inbox.text import shown
from claude_mailbox.daemon.web.inbox.writing import Writing
from claude_mailbox.errors import Forbidden, MailboxError, NotFound
from claude_mailbox.model.history import HistoryEntry, HistoryQuery, check_words
from claude_mailbox.model.mail import Listing, check_message
from claude_mailbox.model.names import USER, check_name
from claude_mailbox.model.times import iso_time

MAILBOXES_PER_PAGE = 100
MESSAGES_PER_PAGE = 50
# What a list shows of a message; its own page has all of it.
EXCERPT = 2_000
# How much text one page of messages has at most.
PAGE_CHARACTERS = 400_000

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing from other hosts, nothing inline, no frame around us, and forms that go nowhere else.
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": with that, browsers send forms with the Origin "null".
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One mailbox of the overview."""

    listing: Listing
    watching: bool

    @property
    def project(self) -> str:
        """Name of its project, or nothing."""
        return (self.listing.session and self.listing.session.project) or ""

    @property
    def state(self) -> str:
        """What its session does."""
        return self.listing.session.state if self.listing.session else "unknown"

    @property
    def wakes(self) -> bool:
        """Whether mail wakes it."""
        return self.watching or bool(self.listing.session and self.listing.session.has_bell)


class Pages:
    """The pages.

    Args:
        broker: what they show.
        access: who may see them.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, broker: Broker, access: InboxAccess, clock: Callable[[], int]) -> None:
        self._broker = broker
        self._access = access
        self._clock = clock
        self._writing = Writing(broker)

    def blueprint(self) -> Blueprint:
        """Return them as a part of the application."""
        pages = Blueprint("inbox", __name__, template_folder="templates")
        pages.before_request(self._let_in)
        pages.after_request(_secure)
        pages.register_error_handler(MailboxError, self._on_error)
        pages.context_processor(self._context)
        for path, view in (
            ("/", self._overview),
            ("/inbox/enter", self._enter),
            ("/inbox/static/<name>", _static),
            ("/inbox/mailbox", self._mailbox),
            ("/inbox/message", self._message),
            ("/inbox/thread", self._thread),
            ("/inbox/search", self._search),
            ("/inbox/write", self._writing.write),
        ):
            pages.add_url_rule(path, view.__name__.strip("_"), view, methods=["GET"])
        pages.add_url_rule("/inbox/write", "send", self._writing.send, methods=["POST"])
        return pages

    async def _let_in(self) -> Response | None:
        if request.endpoint in {"inbox.static", "inbox.enter"}:
            return None
        g.cookie = self._access.cookie_of(cast("Any", request.scope))
        if g.cookie is None:
            return Response(await render_template("entry.html"), status=403)
        # A page at another port of this host may send our cookie along, but never our pages' token.
        if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"} and (
            request.method != "GET" or request.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            raise Forbidden("Pages of other sites have no access to the inbox.")
        if request.method == "POST":
            body = cast("bytes", await request.get_data(as_text=False))
            fields = parse_qs(body.decode(errors="replace"), max_num_fields=20)
            g.form = {key: values[-1] for key, values in fields.items()}
            if not self._access.is_form_token(g.form.get("token", ""), g.cookie):
                raise Forbidden("The form is too old: go back, reload the page, and send again.")
        return None

    async def _context(self) -> dict[str, object]:
        now = self._clock()
        context: dict[str, object] = {
            "user": USER,
            "static_url": _static_url,
            "shown": shown,
            "ago": lambda at: times.ago(at, now),
            "on_the_clock": times.on_the_clock,
            "iso_time": iso_time,
            "mailbox_url": lambda name: url("/inbox/mailbox", name=name),
            "url": url,
            "cookie": g.get("cookie"),
        }
        if g.get("cookie") is not None:
            context["form_token"] = self._access.form_token(g.cookie)
            context["unread"] = (await self._broker.peek(USER)).pending
        return context

    async def _on_error(self, error: MailboxError) -> Response:
        return Response(await render_template("error.html", error=error), status=error.status)

    async def _enter(self) -> Response:
        """Turn a one-time address into a cookie.

        The browser goes on by itself, because a redirect would count as coming from wherever the
        address was opened, and the cookie would not be sent.
        """
        if request.method == "HEAD":
            return Response("")
        value = self._access.redeem(request.args.get("ticket", ""))
        if value is None:
            return Response(await render_template("entry.html", is_used=True), status=403)
        response = Response(await render_template("entered.html"))
        response.headers["Refresh"] = "0; url=/"
        response.set_cookie(
            self._access.cookie_name,
            value,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def _rows(self, *, show_all: bool = False) -> list[Row]:
        rows = await self._broker.list_mailboxes(show_all=show_all)
        return [Row(listing, watching) for listing, watching in rows if listing.name != USER]

    async def _overview(self) -> str:
        show_all = request.args.get("all") == "1"
        page = whole(request.args.get("page"), 1)
        rows = await self._rows(show_all=show_all)
        shown_rows = rows[(page - 1) * MAILBOXES_PER_PAGE : page * MAILBOXES_PER_PAGE]
        # Those without a project last; within one, as they come: used last first.
        shown_rows.sort(key=lambda row: (not row.project, row.project.casefold()))
        recent = await self._broker.history.recent(
            before=number_of("before"), limit=MESSAGES_PER_PAGE, excerpt=EXCERPT
        )
        return await render_template(
            "overview.html",
            projects=[
                (project, list(group))
                for project, group in groupby(shown_rows, key=lambda row: row.project)
            ],
            count=len(rows),
            page=page,
            pages=-(-len(rows) // MAILBOXES_PER_PAGE),
            show_all=show_all,
            recent=recent,
        )

    async def _mailbox(self) -> str:
        name = await self._broker.presence.present(check_name(request.args.get("name")))
        fresh: set[int] = set()
        if name == USER:
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
        rows = await self._rows(show_all=True)
        row = next((row for row in rows if row.listing.name == name), None)
        if row is None and name != USER and not history.entries:
            raise NotFound(f"There is no mailbox '{name}': see who is there on the first page.")
        pending = await self._broker.peek(name)
        return await render_template(
            "mailbox.html",
            name=name,
            row=row,
            history=history,
            fresh=fresh,
            pending=pending,
            peer=request.args.get("with") or "",
        )

    async def _take_own(self, thread: int | None = None) -> set[int]:
        """Take what waits for the person; it is settled when the page has left.

        A page that only brings itself up to date takes nothing: perhaps nobody looks at it.
        """
        if request.method != "GET" or "X-Inbox-Live" in request.headers:
            return set()
        custody: Custody = cast("Any", request.scope)[CUSTODY_KEY]
        claim = await self._broker.check(
            USER, custody, limit=MESSAGES_PER_PAGE, by="inbox", thread=thread
        )
        return {delivery.id for delivery in claim.deliveries}

    async def _thread(self) -> str:
        """Show the messages of a thread as a conversation, the newest at the end."""
        number = check_message(request.args.get("id"), "id")
        before = number_of("before")
        # What older pages show was there to be read before.
        fresh = await self._take_own(number) if before is None else set()
        found = await self._broker.history.recent(
            thread=number, before=before, limit=MESSAGES_PER_PAGE, excerpt=EXCERPT
        )
        if not found.entries:
            raise NotFound(f"There is no thread {number}.")
        last = next(
            (e.status for e in found.entries if USER in (e.status.sender, e.status.recipient)), None
        )
        return await render_template(
            "thread.html",
            number=number,
            entries=found.entries[::-1],
            has_more=found.has_more,
            fresh=fresh,
            last=last,
            key=form_key(),
        )

    _mailbox.carries_mail = _thread.carries_mail = True  # type: ignore[attr-defined]

    async def _message(self) -> str:
        number = check_message(request.args.get("id"), "id")
        found = await self._broker.history.recent(
            after=number - 1, before=number + 1, limit=1, excerpt=self._broker.max_body_bytes
        )
        if not found.entries:
            raise NotFound(f"There is no message {number}.")
        return await render_template(
            "message.html",
            entry=found.entries[0],
            is_unknown=request.args.get("unknown") == "1",
            key=form_key(),
        )

    async def _search(self) -> str:
        words = check_words(request.args.get("q"), "q")
        given = request.args.get("mailbox", "").strip()
        days = whole(request.args.get("days"), 0)
        found: list[HistoryEntry] = []
        is_complete = True
        if words is not None:
            query = HistoryQuery(
                words=words,
                since=times.days_ago(days) if days else None,
                before=number_of("before"),
                limit=MESSAGES_PER_PAGE,
                max_characters=PAGE_CHARACTERS,
            )
            if given:
                names = [await self._broker.presence.present(check_name(given, "mailbox"))]
            else:
                rows = await self._broker.list_mailboxes(show_all=True)
                names = [listing.name for listing, _ in rows]
            found, is_complete = await search(self._broker, names, query)
        return await render_template(
            "search.html",
            words=words or "",
            mailbox=given,
            days=days,
            found=found,
            is_complete=is_complete,
            limit=MESSAGES_PER_PAGE,
        )


async def _secure(response: Response) -> Response:
    for key, value in _SECURITY.items():
        response.headers[key] = value
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


async def _static(name: str) -> Response:
    found = _static_files().get(name)
    if found is None:
        raise NotFound(f"There is no file '{name}'.")
    response = Response(found, content_type=_TYPES[Path(name).suffix])
    response.headers["Cache-Control"] = "max-age=31536000, immutable"
    return response


@lru_cache(maxsize=1)
def _static_files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}


def _static_url(name: str) -> str:
    """Return the address of a file, which changes with its content."""
    return url(f"/inbox/static/{name}", v=sha256(_static_files()[name]).hexdigest()[:12])
