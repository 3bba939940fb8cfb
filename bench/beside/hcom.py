"""hcom: messages between coding agents without a daemon, a process for each verb."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator

from bench import processes
from bench.context import BODY, Bench, require
from bench.errors import BenchError

PROGRAM = "hcom"
_START_SECONDS = 10.0
# `hcom listen` says when it listens a little before it does.
_SETTLE_SECONDS = 0.05


def run(bench: Bench) -> None:
    """Measure it, where it is installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        bench.skip("hcom", f"no '{PROGRAM}' on the PATH")
        return
    folder = tempfile.mkdtemp(prefix="cmb-beside-", dir=bench.folder)
    try:
        _measure(bench, _Hcom(program, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(bench: Bench, hcom: "_Hcom") -> None:
    for _ in range(bench.scale.processes):
        elapsed = processes.whole(hcom.send, hcom.environment)
        bench.add("beside.hcom.send", "hcom send, whole process", [elapsed])
        begin = time.perf_counter()
        with hcom.listening() as listener:
            processes.wait(listener, hcom.listen)
        elapsed = (time.perf_counter() - begin) * 1000
        title = "hcom listen with mail waiting, whole process"
        bench.add("beside.hcom.listen", title, [elapsed])
    for _ in range(bench.scale.processes):
        with hcom.listening() as listener:
            time.sleep(_SETTLE_SECONDS)
            begin = time.perf_counter()
            sender = processes.spawn(hcom.send, hcom.environment)
            processes.wait(listener, hcom.listen)
            elapsed = (time.perf_counter() - begin) * 1000
            processes.wait(sender, hcom.send)
        title = "hcom: from the start of 'hcom send' until 'hcom listen' has exited"
        bench.add("beside.hcom.wake", title, [elapsed])


class _Hcom:
    """Its commands, for one agent in a folder of its own."""

    def __init__(self, program: str, folder: str) -> None:
        # As from a plain shell: it looks for signs of a coding agent around it.
        self.environment = {"HOME": folder, "HCOM_DIR": folder, "PATH": os.defpath}
        found = subprocess.run(
            [program, "start"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
        )
        name = re.search(r"\[hcom:(\w+)\]", found.stdout)
        if name is None:
            raise BenchError(
                f"'hcom start' gave no name: {found.stdout[:200]} {found.stderr[:200]}"
            )
        agent = name[1]
        self.send = [program, "send", f"@{agent}", "--from", "bench", "--quiet", "--", BODY]
        self.listen = [program, "listen", "--name", agent, "--timeout", "20"]

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """Run ``hcom listen`` and yield its pid once it listens."""
        reader, writer = os.pipe()
        pid = processes.spawn(self.listen, self.environment, stdout=writer, stderr=writer)
        os.close(writer)
        try:
            require(b"Listening" in os.read(reader, 4096), "'hcom listen' does not listen.")
            yield pid
        except BaseException:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            raise
        finally:
            os.close(reader)
