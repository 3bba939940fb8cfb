"""What the demo shows, scene by scene: alice and bob write to each other, and the daemon dies."""

import json
import time
from collections.abc import Callable, Sequence

from claude_mailbox.cli.demo.sandbox import DemoFailed, Sandbox

_BACKLOG = 20
_BEFORE_CRASH = 5

Scene = dict[str, object]
# Is given the seconds since the beginning, and a text.
PrintLine = Callable[[str, str], None]


class Timeline:
    """Prints lines with the seconds since it was made."""

    def __init__(self, print_line: PrintLine) -> None:
        self._print_line = print_line
        self._began = time.perf_counter()

    def say(self, text: str) -> None:
        """Print one line."""
        self._print_line(f"{time.perf_counter() - self._began:7.3f} s", text)


def run_scenes(sandbox: Sandbox, print_line: PrintLine) -> list[Scene]:
    """Run all scenes; return what was measured, in milliseconds.

    Raises:
        DemoFailed: if anything is not as it should be.
    """
    timeline = Timeline(print_line)
    scenes = (_start, _wake, _ask, _drain, _rename, _crash)
    return [scene(sandbox, timeline) for scene in scenes]


def _start(sandbox: Sandbox, timeline: Timeline) -> Scene:
    timeline.say(f"A temporary home folder, {sandbox.home}, and a free port: {sandbox.url}")
    began = time.perf_counter()
    sandbox.start_daemon()
    took = _milliseconds_since(began)
    timeline.say(f"The daemon answers, {took:.0f} ms after its start.")
    return {"scene": "start", "milliseconds": took}


def _wake(sandbox: Sandbox, timeline: Timeline) -> Scene:
    watcher = sandbox.run("watch", "--block", "--name", "alice")
    sandbox.wait_until_watched("alice")
    timeline.say("alice waits for mail: claude-mailbox watch --block --name alice")
    began = time.perf_counter()
    sandbox.send("bob", "alice", "The build is green, you can merge.")
    lines = sandbox.output(watcher)
    took = _milliseconds_since(began)
    _expect(lines, ["[Claude-Mailbox] Mail from bob: The build is green, you can merge."])
    timeline.say(f"bob sends; {took:.0f} ms later alice's command has printed it and ended:")
    timeline.say(f"    {lines[0]}")
    return {"scene": "wake", "milliseconds": took}


def _ask(sandbox: Sandbox, timeline: Timeline) -> Scene:
    question = "May I deploy?"
    asking = sandbox.run("ask", "--from", "alice", "--to", "bob", "--body", question)
    lines = sandbox.output(sandbox.run("watch", "--block", "--name", "bob", "--json"))
    number = json.loads(lines[0])["id"]
    timeline.say(f'alice asks: claude-mailbox ask --from alice --to bob --body "{question}"')
    began = time.perf_counter()
    sandbox.output(sandbox.run("reply", "--name", "bob", str(number), "--body", "Yes."))
    lines = sandbox.output(asking)
    took = _milliseconds_since(began)
    _expect(lines, ["Yes."])
    timeline.say(f"bob replies; {took:.0f} ms later alice's command has printed the answer: Yes.")
    return {"scene": "ask", "milliseconds": took}


def _drain(sandbox: Sandbox, timeline: Timeline) -> Scene:
    for number in range(1, _BACKLOG + 1):
        sandbox.send("bob", "alice", f"step {number}")
    timeline.say(f"bob sends {_BACKLOG} messages while alice is busy. Each is on disk.")
    began = time.perf_counter()
    lines = sandbox.output(sandbox.run("check", "--name", "alice"))
    took = _milliseconds_since(began)
    _expect(lines, [f"[Claude-Mailbox] Mail from bob: step {n}" for n in range(1, _BACKLOG + 1)])
    timeline.say(f"alice takes all {_BACKLOG}, in the order they were sent, in {took:.0f} ms.")
    return {"scene": "drain", "milliseconds": took, "messages": _BACKLOG}


def _rename(sandbox: Sandbox, timeline: Timeline) -> Scene:
    watcher = sandbox.run("watch", "--block", "--name", "alice")
    sandbox.wait_until_watched("alice")
    began = time.perf_counter()
    sandbox.output(sandbox.run("rename", "--name", "alice", "--to", "alice-frontend"))
    lines = sandbox.output(watcher)
    took = _milliseconds_since(began)
    _expect(lines, ["[Claude-Mailbox] Mailbox renamed to 'alice-frontend'"])
    timeline.say(f"alice is renamed; her watcher has noticed {took:.0f} ms later:")
    timeline.say(f"    {lines[0]}")
    return {"scene": "rename", "milliseconds": took}


def _crash(sandbox: Sandbox, timeline: Timeline) -> Scene:
    for number in range(1, _BEFORE_CRASH + 1):
        sandbox.send("bob", "alice", f"before the crash {number}")  # to the old name: forwarded
    sandbox.kill_daemon()
    timeline.say(f"{_BEFORE_CRASH} more messages, to the old name; then kill -9 of the daemon.")
    began = time.perf_counter()
    sandbox.start_daemon()
    took = _milliseconds_since(began)
    lines = sandbox.output(sandbox.run("check", "--name", "alice-frontend"))
    mail = "[Claude-Mailbox] Mail from bob: before the crash"
    _expect(lines, [f"{mail} {n}" for n in range(1, _BEFORE_CRASH + 1)])
    timeline.say(
        f"It is back {took:.0f} ms after its start, with all {_BEFORE_CRASH} messages in order."
    )
    _expect(sandbox.output(sandbox.run("check", "--name", "alice-frontend")), [])
    timeline.say("Nothing was lost, nothing came twice. The home folder is deleted now.")
    return {"scene": "crash", "milliseconds": took, "messages": _BEFORE_CRASH}


def _expect(lines: Sequence[str], wanted: Sequence[str]) -> None:
    if list(lines) != list(wanted):
        raise DemoFailed(f"The demo failed: expected {list(wanted)}, got {list(lines)}.")


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
