"""beanstalkd with its journal flushed on every write: the small work queue."""

import shutil

from bench.beside.queue import Queue, measure
from bench.beside.server import serving
from bench.context import BODY, Bench
from bench.errors import BenchError

PROGRAM = "beanstalkd"
_EXPECTED = (b"INSERTED ", b"RESERVED ", b"DELETED", b"USING ")


def run(bench: Bench) -> None:
    """Measure it, where it is installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        bench.skip("beanstalkd", f"no '{PROGRAM}' on the PATH")
        return

    def command(port: int, folder: str) -> list[str]:
        return [program, "-l", "127.0.0.1", "-p", str(port), "-b", folder, "-f", "0"]

    with serving(command, bench.folder) as address:
        body = BODY.encode()
        measure(
            bench,
            Queue(
                id="beanstalkd",
                name="beanstalkd, fsync on every write",
                address=address,
                reply_length=reply_length,
                put=b"put 0 0 60 %d\r\n%s\r\n" % (len(body), body),
                take=b"reserve\r\n",
                done=lambda reply: b"delete %s\r\n" % reply.split(b" ", 2)[1],
                ping=b"list-tube-used\r\n",
            ),
        )


def reply_length(buffer: bytearray) -> int:
    """Return the length of the reply at the start of *buffer*, 0 if it is not whole."""
    line_end = buffer.find(b"\r\n")
    if line_end < 0:
        return 0
    line = bytes(buffer[:line_end])
    if not line.startswith(_EXPECTED):
        raise BenchError(f"beanstalkd says: {line.decode()}")
    end = line_end + 2
    if line.startswith(b"RESERVED "):
        end += int(line.rsplit(b" ", 1)[1]) + 2
    return end if len(buffer) >= end else 0
