"""``GET /metrics``, read as Prometheus reads it; and the log as JSON."""

import json

import httpx
from prometheus_client.parser import text_string_to_metric_families

from support.daemon import DaemonProcess


def samples(daemon: DaemonProcess) -> dict[tuple[str, str], float]:
    """Return the values by name and state."""
    response = httpx.get(f"{daemon.url}/metrics", timeout=30)
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, sample.labels.get("state", sample.labels.get("le", ""))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_metrics_count_messages_mailboxes_and_commits() -> None:
    """Messages by state, mailboxes, and how long commits take; and no name of anybody."""
    with (
        DaemonProcess() as daemon,
        httpx.Client(base_url=daemon.url, headers={"X-Mailbox": "me"}, timeout=30) as client,
    ):
        for body in ("one", "two"):
            client.post("/v1/send", json={"to": "you", "body": body}).raise_for_status()
        before = samples(daemon)
        you = {"X-Mailbox": "you"}
        client.post("/v1/check-inbox?name=you&limit=1&lease=60", headers=you).raise_for_status()
        after = samples(daemon)
        text = client.get("/metrics").text

    waiting, leased = ("claude_mailbox_messages", "waiting"), ("claude_mailbox_messages", "leased")
    assert (before[waiting], before[leased]) == (2, 0)
    assert (after[waiting], after[leased]) == (1, 1)
    assert after["claude_mailbox_mailboxes", ""] == 2
    assert after["claude_mailbox_messages_sent_total", ""] == 2
    assert after["claude_mailbox_flush_duration_seconds_bucket", "+Inf"] >= 2
    assert after["process_resident_memory_bytes", ""] > 0
    assert "you" not in text


def test_log_is_json_when_that_is_wanted() -> None:
    """Every line is an object."""
    with DaemonProcess(arguments=["--log-format", "json"]) as daemon:
        daemon.stop()
        lines = [json.loads(line) for line in daemon.log().splitlines()]

    assert lines[-1]["level"] == "info"
    assert "shutting down" in lines[-1]["message"]
