"""Server-sent events, one of the two forms in which an MCP endpoint answers."""


class EventParser:
    """Parses a ``text/event-stream`` as it arrives."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of the events that *piece* completes; events without data are ignored."""
        complete = []
        # A CR at the end may be the first half of a CR LF.
        text = self._rest + piece
        held_back = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(held_back).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held_back
        for line in lines:
            if not line:
                if self._data:
                    complete.append(b"\n".join(self._data))
                self._data = []
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
        return complete
