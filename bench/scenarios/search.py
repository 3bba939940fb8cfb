"""History: the 50 newest messages, and the 50 newest hits where every message is one."""

import time

from bench.backlog import fill_stopped, index_stopped
from bench.context import Bench
from bench.daemon import running
from bench.http1 import own_request

_BOX = "big"
_REQUESTS = {
    "history": ("history", own_request("GET", "/v1/history", _BOX)),
    "word": ("search for a word", own_request("GET", "/v1/history", _BOX, q="tests")),
    "phrase": (
        "search for a phrase",
        own_request("GET", "/v1/history", _BOX, q='"please rebase"'),
    ),
}


def run(bench: Bench) -> None:
    """Measure them in turn, in a large mailbox."""
    size = bench.scale.backlogs[-1]
    with bench.home(maxPendingPerMailbox=10**9) as home:
        fill_stopped(home, _BOX, size)
        index_stopped(home)
        with running(home) as daemon, daemon.connect() as connection:
            for _ in range(bench.scale.requests):
                for name, (title, request) in _REQUESTS.items():
                    begin = time.perf_counter()
                    connection.expect(request)
                    elapsed = (time.perf_counter() - begin) * 1000
                    bench.add(f"search.{name}", f"{title}, {size:,} messages", [elapsed])
