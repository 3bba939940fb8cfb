"""Server-sent events."""

from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.stdio.events import Events

STREAM = (
    b': ping\r\n\r\nevent: message\r\ndata: {"a":1}\r\n\r\nid: 7\ndata:\n\n'
    b"data: two\ndata:  lines\n\nretry: 5\n\ndata: bare\r\rdata: unfinished\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=6).map(sorted))
def test_reads_events_however_the_stream_is_cut(cuts: list[int]) -> None:
    """Comments and unfinished events are left out; all three line ends count."""
    events, found = Events(), []
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        found += events.feed(STREAM[start:end])
    assert [data for data in found if data] == [b'{"a":1}', b"two\n lines", b"bare"]
