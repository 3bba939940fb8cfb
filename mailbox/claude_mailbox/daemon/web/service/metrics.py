"""``GET /metrics``: figures of the daemon in Prometheus' text format, without names and bodies."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from claude_mailbox import __version__
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.routing import Route
from claude_mailbox.daemon.store.ledger import Ledger
from claude_mailbox.daemon.store.operations import Transaction
from claude_mailbox.model.mail import Totals

MEDIA_TYPE = "text/plain"
_METRICS = Description("How the daemon does, for Prometheus", str, media_type=MEDIA_TYPE)


class MetricsRoutes:
    """The route.

    Args:
        ledger: counts messages, and how long its commits take.
        waiters: returns how many waiters there are.
    """

    def __init__(self, ledger: Ledger, waiters: Callable[[], int]) -> None:
        self._ledger = ledger
        self._waiters = waiters

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        return (Route("GET", "/metrics", self._tell, _METRICS),)

    async def _tell(self, request: Request) -> Response:
        # Imported here because it would delay the daemon's start.
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import generate_latest

        def count(transaction: Transaction) -> Totals:
            return transaction.mailboxes.totals()

        totals = await self._ledger.run(count, durable=False)
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(_Families(totals, self._ledger, self._waiters()))
        text = generate_latest(registry)
        return Response.of_text(text, f"{MEDIA_TYPE}; version=0.0.4; charset=utf-8")


class _Families:
    """A collector for one answer."""

    def __init__(self, totals: Totals, ledger: Ledger, waiters: int) -> None:
        self._totals = totals
        self._ledger = ledger
        self._waiters = waiters

    def collect(self) -> Iterator[Any]:
        """Yield the families of metrics."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        yield InfoMetricFamily("claude_mailbox", "The daemon.", {"version": __version__})
        for name, what, value in (
            ("mailboxes", "Mailboxes that there are.", self._totals.mailboxes),
            ("waiters", "Clients that wait for mail.", self._waiters),
        ):
            yield GaugeMetricFamily(f"claude_mailbox_{name}", what, value)
        messages = GaugeMetricFamily(
            "claude_mailbox_messages", "Messages on their way, by state.", labels=["state"]
        )
        messages.add_metric(["waiting"], self._totals.waiting)
        messages.add_metric(["leased"], self._totals.leased)
        yield messages
        yield CounterMetricFamily(
            "claude_mailbox_messages_sent", "Messages that were ever sent.", self._totals.sent
        )
        yield CounterMetricFamily(
            "claude_mailbox_ledger_jobs", "Jobs that the ledger was given.", self._ledger.jobs
        )
        flushes = self._ledger.flushes
        yield HistogramMetricFamily(
            "claude_mailbox_flush_duration_seconds",
            "How long commits took that are flushed to the disk.",
            buckets=flushes.cumulative(),
            sum_value=flushes.total,
        )
