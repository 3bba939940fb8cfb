"""Lines of a rollout, as Codex 0.171.0 writes them."""

import json
from datetime import UTC, datetime
from pathlib import Path

Line = tuple[str, dict[str, object]]


def message(role: str, text: str) -> Line:
    """A message in the conversation."""
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return "response_item", {"type": "message", "role": role, "content": content}


PROMPT = message("user", "Go on.")
ANSWER = message("assistant", "All right.")
CALL: Line = ("response_item", {"type": "function_call", "name": "exec_command", "call_id": "1"})
OUTPUT: Line = ("response_item", {"type": "function_call_output", "call_id": "1", "output": "ok"})
USAGE: Line = ("token_usage_record", {"response_id": "resp_1"})
START: Line = ("event_msg", {"type": "task_started"})
BACK: Line = ("event_msg", {"type": "thread_rolled_back", "num_turns": 1})


def append(path: Path, *lines: Line) -> None:
    """Write lines at the end of a rollout."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with path.open("a") as file:
        for kind, payload in lines:
            entry = {"timestamp": now, "type": kind, "payload": payload}
            file.write(json.dumps(entry) + "\n")
