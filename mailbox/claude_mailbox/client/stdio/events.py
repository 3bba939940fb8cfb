"""Server-sent events, as an MCP endpoint may answer with them."""


class Events:
    """Takes a ``text/event-stream`` apart, piece by piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of the events that *piece* completes; those without data are left out."""
        complete = []
        # A CR at the end may be half of a CR LF.
        text = self._rest + piece
        held = b"\r" if text.endswith(b"\r") else b""
        text = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
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
