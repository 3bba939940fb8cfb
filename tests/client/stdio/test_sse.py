"""Parsing server-sent events."""

from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.stdio.sse import EventParser

STREAM = (
    b': ping\r\n\r\nevent: message\r\ndata: {"a":1}\r\n\r\nid: 7\ndata:\n\n'
    b"data: two\ndata:  lines\n\nretry: 5\n\ndata: bare\r\rdata: unfinished\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=6).map(sorted))
def test_parses_events_in_any_pieces(cuts: list[int]) -> None:
    """Comments and unfinished events are ignored; LF, CR and CR LF end a line."""
    events, found = EventParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        found += events.feed(STREAM[start:end])
    assert [data for data in found if data] == [b'{"a":1}', b"two\n lines", b"bare"]
