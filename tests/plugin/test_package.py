"""The files of the plugin agree with each other and with the program."""

import json
import os
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox import __version__
from claude_mailbox.client.settings.handlers import handlers_by_event
from claude_mailbox.daemon.mcp.tools.schemas import TOOLS
from claude_mailbox.paths import DEFAULT_PORT

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugin"
LAUNCHER = '"${CLAUDE_PLUGIN_ROOT}/bin/claude-mailbox"'
SKILLS = sorted(path.name for path in (PLUGIN / "skills").iterdir())


def load(path: Path) -> Any:
    """Return the JSON in a file."""
    return json.loads(path.read_text())


class TestManifest:
    def test_has_the_name_and_version_of_the_program(self) -> None:
        """As in the distribution."""
        manifest = load(PLUGIN / ".claude-plugin" / "plugin.json")
        assert (manifest["name"], manifest["version"]) == ("claude-mailbox", __version__)

    def test_has_an_icon_for_listings(self) -> None:
        """A square PNG between 512 and 2048 pixels wide."""
        manifest = load(PLUGIN / ".claude-plugin" / "plugin.json")
        content = (PLUGIN / manifest["icon"]).read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert 512 <= width == height <= 2048

    def test_is_in_the_marketplace(self) -> None:
        """The repository is a marketplace that has this plugin."""
        marketplace = load(ROOT / ".claude-plugin" / "marketplace.json")
        (plugin,) = marketplace["plugins"]
        assert (marketplace["name"], plugin["name"]) == ("claude-mailbox", "claude-mailbox")
        assert (ROOT / plugin["source"]).resolve() == PLUGIN

    def test_has_a_readme_and_the_license(self) -> None:
        """As the official directory requires."""
        assert len((PLUGIN / "README.md").read_text().split()) >= 40
        assert (PLUGIN / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


class TestHooks:
    def test_are_the_same_as_those_of_install_hook(self) -> None:
        """With the launcher as the command; but for the one that knows the plugin's tools."""
        hooks = load(PLUGIN / "hooks" / "hooks.json")["hooks"]
        del hooks["PreToolUse"]
        for groups in hooks.values():
            assert [set(group) for group in groups] == [{"hooks"}]
        handlers = {event: groups[0]["hooks"] for event, groups in hooks.items()}
        assert handlers == handlers_by_event(f"exec sh {LAUNCHER}")

    def test_look_at_the_tools_that_take_or_send_mail(self) -> None:
        """By the names that Claude Code gives the tools of the plugin's server."""
        (group,) = load(PLUGIN / "hooks" / "hooks.json")["hooks"]["PreToolUse"]
        (server,) = load(PLUGIN / ".mcp.json")["mcpServers"]
        prefix = f"mcp__plugin_claude-mailbox_{server}__"

        matched = [
            tool.name for tool in TOOLS if re.fullmatch(group["matcher"], prefix + tool.name)
        ]

        assert matched == ["send", "check_inbox", "watch"]
        (handler,) = group["hooks"]
        assert handler["command"] == f"exec {LAUNCHER} session-tool-call"

    def test_take_mail_only_where_the_session_sees_it(self) -> None:
        """The output of SubagentStop and TaskCompleted reaches the session only if it wakes it."""
        for event, handlers in handlers_by_event("x").items():
            for handler in handlers:
                takes = "check --hook" in str(handler["command"])
                is_plain = event == "UserPromptSubmit"
                assert handler.get("asyncRewake", False) is (takes and not is_plain)

    def test_session_end_is_fast_enough(self) -> None:
        """Claude Code gives all hooks of SessionEnd 1.5 seconds."""
        from claude_mailbox.client.hooks.session import END_SECONDS

        assert END_SECONDS < 1.5


class TestServer:
    def test_is_at_the_address_of_the_daemon(self) -> None:
        """At the default port or the address in the variable; a helper adds the headers."""
        server = load(PLUGIN / ".mcp.json")["mcpServers"]["mailbox"]
        assert server["type"] == "http"
        assert server["url"] == f"${{CLAUDE_MAILBOX_URL:-http://127.0.0.1:{DEFAULT_PORT}}}/mcp"
        # Without braces: the shell expands it, so that the folder may have any characters.
        launcher = LAUNCHER.replace("{", "").replace("}", "")
        assert server["headersHelper"] == f"exec sh {launcher} client-headers"


class TestSkills:
    @pytest.mark.parametrize("name", SKILLS)
    def test_have_a_name_and_a_description(self, name: str) -> None:
        """The name is that of the folder."""
        text = (PLUGIN / "skills" / name / "SKILL.md").read_text()
        front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        assert front is not None
        fields = dict(line.split(": ", 1) for line in front[1].splitlines())
        assert fields["name"] == name
        assert len(fields["description"]) > 40

    def test_are_these_four(self) -> None:
        """Three for the installation, one for working with peers."""
        assert SKILLS == ["collaborate", "mailbox-doctor", "mailbox-status", "mailbox-update"]

    @pytest.mark.parametrize("name", SKILLS)
    def test_name_only_commands_that_exist(self, name: str) -> None:
        """A skill tells the model which commands to run."""
        from claude_mailbox.cli.app import cli

        text = (PLUGIN / "skills" / name / "SKILL.md").read_text()
        named = set(re.findall(r"`?claude-mailbox ([a-z][a-z-]+)\b", text))
        known = set(cli.list_commands(None))  # type: ignore[arg-type]
        assert named <= known


def test_the_launcher_is_an_executable_shell_script() -> None:
    """Without syntax errors."""
    launcher = PLUGIN / "bin" / "claude-mailbox"
    assert os.access(launcher, os.X_OK)
    assert launcher.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", launcher], check=True)
