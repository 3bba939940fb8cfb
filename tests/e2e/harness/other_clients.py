"""Other clients than Claude Code: where they are, how they are run, and what they call our tools."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.harness.mail import Mail
from e2e.harness.messages import ToolCall
from e2e.harness.other_model import OtherModel

CACHE = Path(os.environ.get("MAILBOX_E2E_CACHE", ""))
PACKAGES = {
    word: version
    for word, _, version in map(
        str.split, (Path(__file__).parents[1] / "packages.txt").read_text().splitlines()
    )
}
RUN_SECONDS = 60


@dataclass(frozen=True)
class Client:
    """What has to be known of a client.

    Attributes:
        program: its command.
        settings: the file in the user's home that he has written, and its text; @URL@ stands for
            the model's.
        variables: its environment, with @URL@ as above.
        first: arguments of a run without a terminal, before the prompt.
        again: the same for a run that goes on with the last session.
        tool: its tool that runs a command.
        arguments: the arguments of that tool; COMMAND stands for the command.
        send: how it calls our tool for sending.
    """

    program: str
    settings: tuple[str, str]
    first: Sequence[str]
    again: Sequence[str]
    tool: str
    arguments: Mapping[str, str]
    send: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def shell(self, command: str) -> ToolCall:
        """Return a call of the tool that runs a command."""
        given = {key: text.replace("COMMAND", command) for key, text in self.arguments.items()}
        return ToolCall(self.tool, given)


_CODEX = ("--skip-git-repo-check", "--dangerously-bypass-hook-trust")
CODEX_UNASKED = "--dangerously-bypass-approvals-and-sandbox"
CLIENTS = {
    "codex": Client(
        "codex",
        (
            ".codex/config.toml",
            '# mine\nmodel = "scripted"\nmodel_provider = "s"\n\n[model_providers.s]\n'
            'name = "s"\nbase_url = "@URL@/v1"\nwire_api = "responses"\nenv_key = "MODEL_KEY"\n',
        ),
        first=("exec", *_CODEX, CODEX_UNASKED),
        again=("exec", "resume", "--last", *_CODEX, CODEX_UNASKED),
        tool="exec_command",
        arguments={"cmd": "COMMAND"},
        send="mcp__mailbox.send",
        variables={"MODEL_KEY": "x"},
    ),
    "copilot": Client(
        "copilot",
        (".copilot/mcp-config.json", '{"mcpServers": {}}\n'),
        first=("--allow-all-tools", "--allow-all-paths", "-p"),
        again=("--continue", "--allow-all-tools", "--allow-all-paths", "-p"),
        tool="bash",
        arguments={"command": "COMMAND", "description": "Send"},
        send="mailbox-send",
        variables={
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_BASE_URL": "@URL@/v1",
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_PROVIDER_API_KEY": "x",
            "COPILOT_MODEL": "scripted",
        },
    ),
    "gemini": Client(
        "gemini",
        (
            ".gemini/settings.json",
            '{\n\t"security": {"auth": {"selectedType": "gemini-api-key"}}\n}',
        ),
        first=("-m", "gemini-2.5-flash", "--skip-trust", "--approval-mode", "yolo", "-p"),
        again=(
            *("-m", "gemini-2.5-flash", "--skip-trust", "--approval-mode", "yolo"),
            *("--resume", "latest", "-p"),
        ),
        tool="run_shell_command",
        arguments={"command": "COMMAND"},
        send="mcp_mailbox_send",
        variables={"GEMINI_API_KEY": "x", "GOOGLE_GEMINI_BASE_URL": "@URL@"},
    ),
    "opencode": Client(
        "opencode",
        (
            ".config/opencode/opencode.jsonc",
            '{\n  // mine\n  "$schema": "https://opencode.ai/config.json",\n  "model": "s/scripted",\n'
            '  "autoupdate": false,\n  "provider": {\n'
            '    "s": {\n      "npm": "@ai-sdk/openai-compatible",\n'
            '      "options": {"baseURL": "@URL@/v1", "apiKey": "x"},\n'
            '      "models": {"scripted": {}}, // one\n    },\n  },\n}\n',
        ),
        first=("run",),
        again=("run", "--continue"),
        tool="bash",
        arguments={"command": "COMMAND", "description": "Send"},
        send="mailbox_send",
    ),
    "qwen": Client(
        "qwen",
        (
            ".qwen/settings.json",
            '{\n  "security": {\n    "auth": {\n      "selectedType": "openai"\n    }\n  },\n'
            '  "$version": 4\n}',
        ),
        first=("--approval-mode", "yolo", "-p"),
        again=("--continue", "--approval-mode", "yolo", "-p"),
        tool="run_shell_command",
        arguments={"command": "COMMAND"},
        send="mcp__mailbox__send",
        variables={
            "OPENAI_API_KEY": "x",
            "OPENAI_BASE_URL": "@URL@/v1",
            "OPENAI_MODEL": "scripted",
        },
    ),
}


def find_program(word: str, command: str) -> str:
    """Return the path of a client's command; skip the test if it was not to be had."""
    name = f"{word}-{PACKAGES[word]}"
    reason = CACHE / f"{name}.missing"
    if reason.exists():
        pytest.skip(reason.read_text().strip())
    return str(CACHE / name / "node_modules" / ".bin" / command)


class Installation:
    """A client of a user who has set it up, in a home and a project folder of his own.

    Args:
        word: the client, as `install` calls it.
        folder: where the home is made.
        model: what it talks to.
        mail: the mail system.

    Attributes:
        client: what is known of the client.
        program: the path of its command.
        home: the user's home.
        env: the client's environment.
    """

    def __init__(self, word: str, folder: Path, model: OtherModel, mail: Mail) -> None:
        self.client = CLIENTS[word]
        self.program = find_program(word, self.client.program)
        self.home = folder / "home"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        name, text = self.client.settings
        settings = self.home / name
        settings.parent.mkdir(parents=True)
        settings.write_text(text.replace("@URL@", model.url))
        # OpenCode asks npm for a package before it loads a plugin, and would wait for the network.
        (self.home / ".npmrc").write_text("offline=true\n")
        mail.env["HOME"] = str(self.home)
        given = {
            key: text.replace("@URL@", model.url) for key, text in self.client.variables.items()
        }
        self.env = {
            "PWD": str(self.project),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            **mail.env,
            **given,
        }

    def start(self, arguments: Sequence[str], prompt: str) -> "subprocess.Popen[bytes]":
        """Start the client without a terminal, in a process group of its own."""
        return subprocess.Popen(
            [self.program, *arguments, prompt],
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, arguments: Sequence[str], prompt: str) -> None:
        """Run the client without a terminal until it exits."""
        with open(self.home / "output", "w+") as output:
            try:
                subprocess.run(
                    [self.program, *arguments, prompt],
                    cwd=self.project,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    check=True,
                    timeout=RUN_SECONDS,
                )
            except subprocess.SubprocessError as error:
                output.seek(0)
                raise RuntimeError(f"{error}: {output.read()[-4000:]}") from None
