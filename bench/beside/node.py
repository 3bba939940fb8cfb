"""Node: a one-shot ``fetch`` long-poll, which is the least that a command line in Node costs."""

import os
import shutil

from bench import processes
from bench.daemon import Daemon

_SCRIPT = """\
const [url, name] = process.argv.slice(2);
const answer = await fetch(`${url}/v1/watch?name=${name}&timeout=25`, {
  headers: { "x-mailbox": name },
});
if (answer.status !== 200) process.exit(3);
const message = await answer.json();
console.log(`[Claude-Mailbox] Mail from ${message.from}: ${message.body}`);
"""


class OneShot:
    """The command, which takes one message out of *mailbox* and prints it."""

    def __init__(self, node: str, daemon: Daemon, mailbox: str) -> None:
        path = os.path.join(daemon.home.folder, "oneshot.mjs")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_SCRIPT)
        host, port = daemon.address
        self.argv = [node, path, f"http://{host}:{port}", mailbox]
        self.environment = daemon.home.environment()

    def run(self) -> float:
        """Run it once; return how long that took, in ms."""
        return processes.whole(self.argv, self.environment)


def find() -> str | None:
    """Return the path of Node, where it is there."""
    return shutil.which("node")
