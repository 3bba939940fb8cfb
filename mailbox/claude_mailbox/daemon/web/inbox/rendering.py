"""Renders templates on a thread, because a page of fifty messages takes ten milliseconds or more.

They are compiled there, too, when they are first used.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path

import trio
from jinja2 import Environment, FileSystemLoader
from quart import g, request

from claude_mailbox.daemon.delivery.broker import Broker
from claude_mailbox.daemon.web.inbox import times
from claude_mailbox.daemon.web.inbox.access import InboxAccess
from claude_mailbox.daemon.web.inbox.fields import url
from claude_mailbox.daemon.web.inbox.text import shown
from claude_mailbox.model.times import iso_time

_TEMPLATES = Path(__file__).parent / "templates"
_STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Renderer:
    """Renders pages.

    Args:
        broker: has the counts that every page shows.
        access: makes the tokens of forms.
        clock: returns the time in milliseconds since the epoch.
    """

    def __init__(self, broker: Broker, access: InboxAccess, clock: Callable[[], int]) -> None:
        self._broker = broker
        self._access = access
        self._clock = clock
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            user=broker.user,
            static_url=static_url,
            shown=shown,
            on_the_clock=times.on_the_clock,
            iso_time=iso_time,
            url=url,
            mailbox_url=partial(_name_url, "/inbox/mailbox"),
            group_url=partial(_name_url, "/inbox/group"),
        )
        # One thread at a time: they share the interpreter with the event loop.
        self._limiter = trio.CapacityLimiter(1)

    async def __call__(self, template: str, **context: object) -> str:
        """Return a page for the current request."""
        now = self._clock()
        cookie = g.get("cookie")
        context |= {
            "ago": lambda at: times.ago(at, now),
            "duration": lambda since: times.duration(since, now),
            "cookie": cookie,
            "is_older_page": "before" in request.args,
        }
        if cookie is not None:
            context["form_token"] = self._access.form_token(cookie)
            context["unread"] = (await self._broker.peek(self._broker.user)).pending
            context["held_count"] = len(await self._broker.holding.held())
        return await trio.to_thread.run_sync(
            lambda: self._environment.get_template(template).render(context), limiter=self._limiter
        )


def _name_url(path: str, name: str) -> str:
    return url(path, name=name)


@lru_cache(maxsize=1)
def static_files() -> dict[str, bytes]:
    """Return the style sheet, the script and the icon, by name."""
    return {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in TYPES}


@lru_cache
def static_url(name: str) -> str:
    """Return the address of a file, with a hash of its content."""
    return url(f"/inbox/static/{name}", v=sha256(static_files()[name]).hexdigest()[:12])
