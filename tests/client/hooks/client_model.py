"""A model of Claude Code as its hooks see it: a conversation, a queue in memory, a transcript.

It writes the lines that the real client writes (docs/transcript.md); ``make e2e`` holds the real one
against the same rules.
"""

import json
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.commandline import CommandLine

Line = dict[str, Any]


def now() -> str:
    """Return the time as the transcript has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Transcript:
    """The file, line by line. A line that is given to ``write`` is in the file at once.

    Args:
        path: the file; what it has already is the conversation that is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last: str | None = None
        if path.exists():
            for line in self.conversation():
                self.last = line["uuid"]

    def write(self, kind: str, *, parent: str | None = None, **fields: object) -> str:
        """Append a line of the conversation, below *parent* or the last one; return its id."""
        number = str(uuid.uuid4())
        line = {"parentUuid": parent or self.last, "type": kind, "uuid": number, **fields}
        self._append({**line, "timestamp": now()})
        self.last = number
        return number

    def note(self, **fields: object) -> None:
        """Append a line that is not of the conversation."""
        self._append({**fields, "timestamp": now()})

    def context(self, text: str) -> str:
        """Append what a hook gave as context."""
        return self.write(
            "attachment",
            attachment={"type": "hook_additional_context", "content": [text]},
            rendered=[{"type": "text", "content": text}],
        )

    def wake(self, text: str) -> str:
        """Append a wake-up that starts a turn."""
        content = f"<task-notification>{text}</task-notification>"
        message = {"role": "user", "content": content}
        return self.write("user", message=message, origin={"kind": "task-notification"})

    def prompt(self, text: str) -> str:
        """Append a prompt that somebody typed."""
        return self.write(
            "user", message={"role": "user", "content": text}, origin={"kind": "human"}
        )

    def answer(self, text: str = "All right.", model: str = "claude-opus-5-5") -> str:
        """Append an answer of the model."""
        content = [{"type": "text", "text": text}]
        return self.write("assistant", message={"model": model, "content": content})

    def enqueue(self, text: str) -> None:
        """Note that a text waits in the client's queue."""
        self.note(type="queue-operation", operation="enqueue", content=text)

    def dequeue(self, text: str) -> None:
        """Note that it does not any more."""
        self.note(type="queue-operation", operation="dequeue", content=text)

    def conversation(self) -> list[Line]:
        """Return the lines that a resumed client continues from, oldest first."""
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        by_id = {line["uuid"]: line for line in lines if "uuid" in line}
        current = next((line for line in reversed(lines) if "uuid" in line), None)
        found: list[Line] = []
        while current is not None:
            found.append(current)
            current = by_id.get(current["parentUuid"])
        return found[::-1]

    def _append(self, line: Line) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


class ClientModel:
    """One life of a client that runs a session, with the plugin's hooks as real processes.

    Args:
        commandline: runs the hooks.
        session_id: of the session.
        folder: where the transcript lies.
    """

    def __init__(self, commandline: CommandLine, session_id: str, folder: Path) -> None:
        self._commandline = commandline
        self._session_id = session_id
        self.transcript = Transcript(folder / f"{session_id}.jsonl")
        self.queue: list[str] = []
        self._bell: Path | None = None
        self._rung: float = 0
        # Stands for the client's process, by which the daemon knows whether it lives.
        self._process = subprocess.Popen(["sleep", "600"])

    def start(self, source: str = "startup") -> str:
        """Start or resume the session; return its context."""
        output = json.loads(self._hook("SessionStart", "session-announce", source=source).stdout)
        specific = output["hookSpecificOutput"]
        self._bell = Path(specific["watchPaths"][0])
        self._rung = 0
        return str(specific["additionalContext"])

    def begin_prompt(self, text: str = "Go on.") -> None:
        """Enter a prompt: the hook's context is in the conversation, the answer is not."""
        done = self._hook("UserPromptSubmit", "check --hook", prompt=text)
        self.transcript.prompt(text)
        if done.stdout:
            self.transcript.context(done.stdout)

    def end_turn(self, text: str = "All right.") -> None:
        """Let the model answer, and the turn end; what came meanwhile starts the next turn."""
        self.transcript.answer(text)
        self._hook("Stop", "session-event", last_assistant_message=text)
        queue, self.queue = self.queue, []
        for waiting in queue:
            self._start_woken_turn(waiting)

    def absorb_queue(self) -> None:
        """Show the model what waits in the queue, as after a tool."""
        for text in self.queue:
            self.transcript.note(type="queue-operation", operation="remove", content=text)
            self.transcript.write(
                "attachment",
                attachment={"type": "queued_command", "prompt": text},
                rendered=[{"type": "text", "content": text}],
            )
        self.queue = []

    def look_at_bell(self, *, is_busy: bool) -> bool:
        """Run the doorbell's hook if it rang; return whether that brought mail."""
        assert self._bell is not None
        changed = self._bell.stat().st_mtime_ns if self._bell.exists() else 0
        if changed == self._rung:
            return False
        self._rung = changed
        done = self._hook("FileChanged", "check --hook --wake", file_path=str(self._bell))
        if done.returncode != 2:
            return False
        if is_busy:
            self.queue.append(done.stderr)
            self.transcript.enqueue(done.stderr)
        else:
            self._start_woken_turn(done.stderr)
        return True

    def _start_woken_turn(self, text: str) -> None:
        self.transcript.enqueue(text)
        self.transcript.dequeue(text)
        prompt = f"<task-notification>{text}"
        done = self._hook("UserPromptSubmit", "check --hook", prompt=prompt)
        self.transcript.wake(text)
        if done.stdout:
            self.transcript.context(done.stdout)
        self.end_turn()

    def run(self, *arguments: str) -> str:
        """Run a command of ours in the session; return what it printed."""
        return self._commandline.run(*arguments, environment=self._environment()).stdout

    def spawn(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command of ours in the session's background."""
        return self._commandline.spawn(*arguments, environment=self._environment())

    def end(self) -> None:
        """Exit as a user does."""
        self._hook("SessionEnd", "session-end", reason="prompt_input_exit")
        self.kill()

    def kill(self) -> None:
        """Die: what is not in the transcript is gone."""
        self._process.kill()
        self._process.wait()

    def _hook(self, event: str, verb: str, **fields: object) -> "subprocess.CompletedProcess[str]":
        content = {
            "session_id": self._session_id,
            "hook_event_name": event,
            "transcript_path": str(self.transcript.path),
            "cwd": "/",
            **fields,
        }
        return self._commandline.run(
            *verb.split(),
            text=json.dumps(content),
            environment=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        return {
            "CLAUDE_PID": str(self._process.pid),
            "CLAUDE_CODE_SESSION_ATTENDED": "1",
            "CLAUDE_CODE_SESSION_ID": self._session_id,
        }
