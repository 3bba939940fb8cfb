"""The plugin's files agree with each other and with the program."""

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
from claude_mailbox.paths import DEFAULT_PORT

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugin"
LAUNCHER = '"${CLAUDE_PLUGIN_ROOT}/bin/claude-mailbox"'
SKILLS = sorted(path.name for path in (PLUGIN / "skills").iterdir())


def load(path: Path) -> Any:
    """Return a file's JSON."""
    return json.loads(path.read_text())


class TestManifest:
    def test_says_what_the_program_is(self) -> None:
        """Name and version are those of the distribution."""
        manifest = load(PLUGIN / ".claude-plugin" / "plugin.json")
        assert (manifest["name"], manifest["version"]) == ("claude-mailbox", __version__)

    def test_has_an_icon_that_listings_take(self) -> None:
        """A square PNG between 512 and 2048 pixels wide."""
        manifest = load(PLUGIN / ".claude-plugin" / "plugin.json")
        content = (PLUGIN / manifest["icon"]).read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert 512 <= width == height <= 2048

    def test_is_in_the_marketplace(self) -> None:
        """Adding the repository as a marketplace offers this very plugin."""
        marketplace = load(ROOT / ".claude-plugin" / "marketplace.json")
        (plugin,) = marketplace["plugins"]
        assert (marketplace["name"], plugin["name"]) == ("claude-mailbox", "claude-mailbox")
        assert (ROOT / plugin["source"]).resolve() == PLUGIN

    def test_comes_with_readme_and_license(self) -> None:
        """As the directory wants it."""
        assert len((PLUGIN / "README.md").read_text().split()) >= 40
        assert (PLUGIN / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


class TestHooks:
    def test_are_those_of_install_hook(self) -> None:
        """Whoever has the plugin and whoever patched the settings get the same."""
        hooks = load(PLUGIN / "hooks" / "hooks.json")["hooks"]
        for groups in hooks.values():
            assert [set(group) for group in groups] == [{"hooks"}]
        handlers = {event: groups[0]["hooks"] for event, groups in hooks.items()}
        assert handlers == handlers_by_event(f"exec {LAUNCHER}")

    def test_never_take_mail_where_it_would_be_lost(self) -> None:
        """What SubagentStop and TaskCompleted say reaches the session only when it wakes."""
        for event, handlers in handlers_by_event("x").items():
            for handler in handlers:
                takes = "check --hook" in str(handler["command"])
                is_plain = event == "UserPromptSubmit"
                assert handler.get("asyncRewake", False) is (takes and not is_plain)

    def test_end_in_time(self) -> None:
        """The client gives SessionEnd one and a half seconds in all."""
        from claude_mailbox.client.hooks.session import END_SECONDS

        assert END_SECONDS < 1.5


class TestServer:
    def test_is_the_daemon(self) -> None:
        """The default port, another by the variable, and a header that tells who calls."""
        server = load(PLUGIN / ".mcp.json")["mcpServers"]["mailbox"]
        assert server["type"] == "http"
        assert server["url"] == f"${{CLAUDE_MAILBOX_URL:-http://127.0.0.1:{DEFAULT_PORT}}}/mcp"
        assert server["headersHelper"] == f"exec {LAUNCHER} client-headers"


class TestSkills:
    @pytest.mark.parametrize("name", SKILLS)
    def test_have_a_name_and_a_description(self, name: str) -> None:
        """The front matter names the skill as its folder does."""
        text = (PLUGIN / "skills" / name / "SKILL.md").read_text()
        front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        assert front is not None
        fields = dict(line.split(": ", 1) for line in front[1].splitlines())
        assert fields["name"] == name
        assert len(fields["description"]) > 40

    def test_are_all_there(self) -> None:
        """Three to look after it, one to work with it."""
        assert SKILLS == ["collaborate", "mailbox-doctor", "mailbox-status", "mailbox-update"]

    @pytest.mark.parametrize("name", SKILLS)
    def test_name_only_commands_that_exist(self, name: str) -> None:
        """A skill that tells the model to run something must not lead it astray."""
        from claude_mailbox.cli.app import cli

        text = (PLUGIN / "skills" / name / "SKILL.md").read_text()
        named = set(re.findall(r"`?claude-mailbox ([a-z][a-z-]+)\b", text))
        known = set(cli.list_commands(None))  # type: ignore[arg-type]
        assert named <= known


def test_the_launcher_is_in_order() -> None:
    """It can be run, is POSIX shell without mistakes, and is small."""
    launcher = PLUGIN / "bin" / "claude-mailbox"
    assert os.access(launcher, os.X_OK)
    assert launcher.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", launcher], check=True)
