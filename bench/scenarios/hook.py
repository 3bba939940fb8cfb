"""Hooks: the whole process of ``check --hook``, which runs before every prompt."""

import json
import os
import sys

import claude_mailbox
from bench import processes
from bench.context import BODY, Bench
from bench.daemon import Daemon, Home
from bench.http1 import build, send_request

_SESSION = "0f3b9f5e-5a9b-4a9e-9f5c-2f1f6f6b7a10"
_PLUGIN = os.path.join(os.path.dirname(__file__), "..", "..", "plugin", "bin", "claude-mailbox")


def run(bench: Bench) -> None:
    """Measure it with nothing waiting, with a message, and with no daemon at all."""
    with bench.daemon() as daemon, daemon.connect() as connection:
        home, environment = daemon.home, daemon.home.environment()
        stdin = _input(home)
        argv = home.command("check", "--hook", "--name", "hooked")
        plugin = _plugin(bench, daemon)
        for command in filter(None, (argv, plugin)):  # the first run of each warms the caches
            processes.whole(command, environment, stdin=stdin)
        for _ in range(bench.scale.processes):
            bench.bare_python(home, "hook")
            elapsed = processes.whole(argv, environment, stdin=stdin)
            bench.add("hook.nothing", "check --hook, nothing waiting", [elapsed])
            connection.expect(send_request("sender", "hooked", BODY))
            elapsed = processes.whole(argv, environment, stdin=stdin)
            bench.add("hook.message", "check --hook, one message waiting", [elapsed])
            if plugin is not None:
                elapsed = processes.whole(plugin, environment, stdin=stdin)
                title = "the plugin's hook with its shell, nothing waiting"
                bench.add("hook.plugin", title, [elapsed])
    with bench.home() as home:
        stdin = _input(home)
        argv = home.command("check", "--hook", "--name", "hooked")
        for _ in range(bench.scale.processes):
            bench.bare_python(home)
            elapsed = processes.whole(argv, home.environment(), stdin=stdin)
            bench.add("hook.down", "check --hook, daemon down", [elapsed])


def _plugin(bench: Bench, daemon: Daemon) -> list[str] | None:
    """Return the plugin's own hook command, for a session that the daemon knows."""
    if not os.path.exists(_PLUGIN):
        bench.skip("the plugin's hook", "no plugin beside the harness")
        return None
    announce = build("POST", "/v1/session", None, {"sessionId": _SESSION, "name": "hooked"})
    with daemon.connect() as connection:
        connection.expect(announce)
    # The note by which it finds interpreter and package; a session's first hook leaves it behind.
    package = os.path.dirname(claude_mailbox.__file__)
    with open(os.path.join(daemon.home.folder, "command"), "w", encoding="utf-8") as file:
        file.write(f"{sys.executable}\n{os.path.dirname(package)}\n")
    return ["/bin/sh", "-c", f'exec "{os.path.abspath(_PLUGIN)}" check --hook']


def _input(home: Home) -> str:
    """Return the path of a file with what the client gives a hook on standard input."""
    path = os.path.join(home.folder, "hook.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(
            {
                "session_id": _SESSION,
                "transcript_path": os.path.join(home.folder, "transcript.jsonl"),
                "cwd": home.folder,
                "permission_mode": "default",
                "hook_event_name": "UserPromptSubmit",
                "prompt": "Go on.",
            },
            file,
        )
    return path
