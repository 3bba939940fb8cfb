"""Redis Streams with ``appendfsync always``: the nearest that a general broker comes."""

import shutil

from bench.beside.queue import Queue, measure
from bench.beside.server import serving
from bench.context import BODY, Bench
from bench.errors import BenchError
from bench.http1 import connect
from bench.line import Line

PROGRAM = "redis-server"


def run(bench: Bench) -> None:
    """Measure it, where it is installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        bench.skip("redis", f"no '{PROGRAM}' on the PATH")
        return

    def command(port: int, folder: str) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        return [program, *where, *durable]

    with serving(command, bench.folder) as address:
        with Line(connect(address), reply_length) as line:
            line.exchange(_encode("XGROUP", "CREATE", "box", "readers", "$", "MKSTREAM"))
        measure(
            bench,
            Queue(
                id="redis",
                name="Redis Streams, appendfsync always",
                address=address,
                reply_length=reply_length,
                put=_encode("XADD", "box", "*", "body", BODY),
                take=_encode(
                    *("XREADGROUP", "GROUP", "readers", "me", "COUNT", "1", "BLOCK", "0"),
                    *("STREAMS", "box", ">"),
                ),
                done=_done,
                ping=_encode("PING"),
            ),
        )


def _encode(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"".join(parts)


def _done(reply: bytes) -> bytes:
    """Return the ack of the one entry in *reply*: its id comes after the name of the stream."""
    return _encode("XACK", "box", "readers", reply.split(b"\r\n")[7].decode())


def reply_length(buffer: bytearray) -> int:
    """Return the length of the RESP value at the start of *buffer*, 0 if it is not whole."""
    return max(0, _value_end(buffer, 0))


def _value_end(buffer: bytearray, start: int) -> int:
    """Return where the value at *start* ends, -1 if it is not whole."""
    line_end = buffer.find(b"\r\n", start)
    if line_end < 0:
        return -1
    kind, rest, end = buffer[start], buffer[start + 1 : line_end], line_end + 2
    if kind == ord("-"):
        raise BenchError(f"Redis says: {rest.decode()}")
    if kind == ord("$") and int(rest) >= 0:
        end += int(rest) + 2
        return end if len(buffer) >= end else -1
    if kind == ord("*"):
        for _ in range(int(rest)):
            end = _value_end(buffer, end)
            if end < 0:
                return -1
    return end
