"""The plugin as a package: valid, connected, and gone without a trace."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Cast
from e2e.harness.claude import Claude
from e2e.harness.mail import ROOT, Mail
from e2e.harness.messages import Call, Request, Say, call, quiet, say
from e2e.harness.plugin import FOLDER, FROM_FOLDER, NAME, SERVER, Plugin, install, uninstall


class TestValidation:
    """The client's own check.

    The one complaint that is left is about the name: the client keeps names that begin with
    "claude-" for its makers. It loads, installs and runs such a plugin all the same.
    """

    @staticmethod
    def report(claude: Claude, what: Path, *options: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(
            claude.run("plugin", "validate", str(what), "--json", *options).stdout
        )
        return report

    @staticmethod
    def complaints(findings: Iterable[dict[str, Any]]) -> list[str]:
        messages = [finding["message"] for finding in findings]
        return [message for message in messages if "is reserved" not in message]

    @pytest.mark.parametrize("what", [FOLDER, ROOT], ids=["plugin", "marketplace"])
    def test_has_nothing_to_say(self, claude: Claude, what: Path) -> None:
        """Manifests, hooks, tools and skills are in order, with warnings counted as errors."""
        manifest = self.report(claude, what, "--strict")["manifest"]
        assert self.complaints([*manifest["errors"], *manifest["warnings"]]) == []

    def test_has_nothing_against_a_listing(self, claude: Claude) -> None:
        """The public directory would not refuse the plugin for what the client can check."""
        findings = self.report(claude, FOLDER, "--profile", "directory")["directory"]["findings"]
        assert self.complaints(finding for finding in findings if finding["blocking"]) == []


class TestServer:
    def test_is_connected(self, claude: Claude, mail: Mail, plugin: Plugin) -> None:
        """``claude mcp list`` shakes hands with the daemon."""
        mail.start()
        shown = claude.run(*plugin.loading, "mcp", "list").stdout
        line = next(line for line in shown.splitlines() if line.startswith(SERVER))
        assert mail.url in line
        assert line.endswith("Connected")


class TestCommand:
    """Hooks have a PATH of their own, which seldom has the place of a Python tool."""

    def test_is_found_off_the_path(self, claude: Claude, cast: Cast, mail: Mail) -> None:
        """A command that announced a session once is found again, wherever it is installed."""
        mail.start()
        cast.peer(quiet).session.exit()
        claude.env["PATH"] = os.defpath
        peer = cast.peer(quiet)
        peer.session.ask("Hello")
        mail.send(peer.name, "the build is green")
        peer.model.wait_for("the build is green")
        peer.session.wait_idle()
        peer.assert_read_once("the build is green")

    def test_that_is_missing_is_named_once(self, claude: Claude, cast: Cast) -> None:
        """Without the command a session works, and is told once what to do."""
        claude.env["PATH"] = os.defpath
        session = cast.session(quiet, *FROM_FOLDER.arguments)
        session.ask("Hello")
        assert session.model.requests[0].news.count("[Claude-Mailbox]") == 1
        screen = session.terminal.screen()
        assert screen.count("[Claude-Mailbox]") == 1
        assert "hook failed" not in screen
        assert session.model.requests[0].deferred_tool("mailbox__send") is None


class TestWithoutPlugin:
    def test_hooks_and_tools_in_the_settings_do_the_same(
        self, folder: Path, claude: Claude, cast: Cast, mail: Mail
    ) -> None:
        """``install-hook`` and ``mcp-config`` stand in for the plugin; ``uninstall-hook`` undoes."""
        mail.start()
        mail.env["HOME"] = str(claude.home)
        settings = claude.home / ".claude" / "settings.json"
        before = settings.read_bytes()
        mail.run("install-hook")
        tools = folder / "mcp.json"
        tools.write_text(mail.run("mcp-config", "claude-code"))

        def script(request: Request) -> Say | Call:
            if "the build is green" in request.news:
                return call("mailbox__send", to="outside", body="seen")
            return say("All right.")

        allowed = ("--allowedTools", "mcp__mailbox")
        peer = cast.peer(script, Plugin(("--mcp-config", str(tools), *allowed)))
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
    def test_leaves_nothing(self, claude: Claude, cast: Cast, mail: Mail) -> None:
        """After a session, an uninstall and a removal of the marketplace no setting names us."""
        mail.start()
        peer = cast.peer(quiet, install(claude))
        peer.session.ask("Hello")
        peer.session.exit()
        assert settings_that_name_us(claude) != []
        uninstall(claude)
        assert settings_that_name_us(claude) == []


def settings_that_name_us(claude: Claude) -> list[str]:
    """Return the names of the files with the client's settings that mention the plugin.

    Its conversations, backups and statistics are no business of a plugin's; neither is its copy of
    the plugin, which it marks as orphaned and clears away by itself some days later.
    """
    folder = claude.home / ".claude"
    lists = [*folder.glob("plugins/*.json"), *folder.glob("plugins/data/**/*")]
    files = [*folder.glob("*.json"), *lists, claude.home / ".claude.json"]
    return [
        str(path.relative_to(claude.home))
        for path in files
        if path.is_file() and NAME in path.read_text(errors="replace")
    ]
