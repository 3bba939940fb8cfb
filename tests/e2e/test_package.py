"""The plugin as a package: it is valid, connects, and can be removed without a trace."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Sessions
from e2e.harness.claude import Claude
from e2e.harness.mail import ROOT, Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.plugin import FOLDER, FROM_FOLDER, NAME, SERVER, Plugin, install, uninstall


class TestValidation:
    """``claude plugin validate``.

    One error is expected: names that begin with "claude-" are reserved for Anthropic. The client
    loads, installs and runs such a plugin all the same.
    """

    @staticmethod
    def report(claude: Claude, what: Path, *options: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(
            claude.run("plugin", "validate", str(what), "--json", *options).stdout
        )
        return report

    @staticmethod
    def errors(findings: Iterable[dict[str, Any]]) -> list[str]:
        messages = [finding["message"] for finding in findings]
        return [message for message in messages if "is reserved" not in message]

    @pytest.mark.parametrize("what", [FOLDER, ROOT], ids=["plugin", "marketplace"])
    def test_finds_no_errors_or_warnings(self, claude: Claude, what: Path) -> None:
        """In manifests, hooks, tools and skills."""
        manifest = self.report(claude, what, "--strict")["manifest"]
        assert self.errors([*manifest["errors"], *manifest["warnings"]]) == []

    def test_finds_nothing_that_blocks_a_listing(self, claude: Claude) -> None:
        """With the profile of the public directory."""
        findings = self.report(claude, FOLDER, "--profile", "directory")["directory"]["findings"]
        assert self.errors(finding for finding in findings if finding["blocking"]) == []


class TestServer:
    def test_is_connected(self, claude: Claude, mail: Mail, plugin: Plugin) -> None:
        """``claude mcp list`` connects to the daemon."""
        mail.start()
        shown = claude.run(*plugin.loading, "mcp", "list").stdout
        line = next(line for line in shown.splitlines() if line.startswith(SERVER))
        assert mail.url in line
        assert line.endswith("Connected")


class TestCommand:
    """The command, which hooks must find although their PATH seldom has its folder."""

    def test_is_found_without_the_path(
        self, claude: Claude, sessions: Sessions, mail: Mail
    ) -> None:
        """Once it has run for a session, there is a launch record."""
        mail.start()
        sessions.start_peer(quiet).session.exit()
        claude.env["PATH"] = os.defpath
        peer = sessions.start_peer(quiet)
        peer.session.ask("Hello")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_a_missing_command_is_one_hint(self, claude: Claude, sessions: Sessions) -> None:
        """The session works without it."""
        claude.env["PATH"] = os.defpath
        session = sessions.start(quiet, *FROM_FOLDER.arguments)
        session.ask("Hello")
        assert session.model.requests[0].news.count("[Claude-Mailbox]") == 1
        screen = session.terminal.screen()
        assert screen.count("[Claude-Mailbox]") == 1
        assert "hook failed" not in screen
        assert session.model.requests[0].deferred_tool("mailbox__send") is None


class TestWithoutPlugin:
    def test_install_hook_and_mcp_config_replace_it(
        self, folder: Path, claude: Claude, sessions: Sessions, mail: Mail
    ) -> None:
        """``uninstall-hook`` restores the settings."""
        mail.start()
        mail.env["HOME"] = str(claude.home)
        settings = claude.home / ".claude" / "settings.json"
        before = settings.read_bytes()
        mail.run("install-hook")
        tools = folder / "mcp.json"
        tools.write_text(mail.run("mcp-config", "claude-code"))

        def script(request: Request) -> Text | ToolCall:
            if "the build is green" in request.news:
                return call("mailbox__send", to="outside", body="seen")
            return say("All right.")

        allowed = ("--allowedTools", "mcp__mailbox")
        peer = sessions.start_peer(script, Plugin(("--mcp-config", str(tools), *allowed)))
        peer.session.ask("Hello")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        assert mail.pending("outside") == 1
        peer.assert_read_once("the build is green")
        peer.session.exit()
        mail.run("uninstall-hook")
        assert settings.read_bytes() == before


class TestUninstall:
    def test_leaves_nothing(self, claude: Claude, sessions: Sessions, mail: Mail) -> None:
        """No settings file mentions the plugin after its marketplace is removed, too."""
        mail.start()
        peer = sessions.start_peer(quiet, install(claude))
        peer.session.ask("Hello")
        peer.session.exit()
        assert settings_with_our_name(claude) != []
        uninstall(claude)
        assert settings_with_our_name(claude) == []


_REMOVED_PLUGINS = re.compile(r'"declinedPlugins": \[[^]]*\]')


def settings_with_our_name(claude: Claude) -> list[str]:
    """Return the settings files of the client that mention the plugin.

    Conversations, backups and statistics do not count. Nor does the client's copy of the plugin,
    which it marks as orphaned and deletes some days later; nor its list of plugins that the user
    has removed, which it keeps so as not to suggest them.
    """
    folder = claude.home / ".claude"
    lists = [*folder.glob("plugins/*.json"), *folder.glob("plugins/data/**/*")]
    files = [*folder.glob("*.json"), *lists, claude.home / ".claude.json"]
    return [
        str(path.relative_to(claude.home))
        for path in files
        if path.is_file() and NAME in _REMOVED_PLUGINS.sub("", path.read_text(errors="replace"))
    ]
