"""``mcp-config``: the configuration in the form of each client."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from claude_mailbox.cli import app
from claude_mailbox.cli.commands.clients.mcp_config import FILES, render

HTTP: dict[str, object] = {"url": "http://127.0.0.1:37849/mcp"}
NAMED: dict[str, object] = {**HTTP, "headers": {"X-Mailbox": 'a "b" ü'}}
STDIO: dict[str, object] = {"command": "claude-mailbox", "args": ["mcp-stdio", "--name", "a b"]}


def parse(client: str, server: dict[str, object]) -> Any:
    """Return the configuration as the client reads it."""
    text = render(client, server)
    return tomllib.loads(text) if client == "codex" else json.loads(text)


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        ("codex", NAMED, {"mcp_servers": {"mailbox": {**HTTP, "http_headers": NAMED["headers"]}}}),
        ("codex", STDIO, {"mcp_servers": {"mailbox": STDIO}}),
        (
            "gemini",
            NAMED,
            {"mcpServers": {"mailbox": {"httpUrl": HTTP["url"], "headers": NAMED["headers"]}}},
        ),
        ("gemini", STDIO, {"mcpServers": {"mailbox": STDIO}}),
        ("cursor", NAMED, {"mcpServers": {"mailbox": NAMED}}),
        ("cursor", STDIO, {"mcpServers": {"mailbox": STDIO}}),
        ("vscode", NAMED, {"servers": {"mailbox": {"type": "http", **NAMED}}}),
        ("vscode", STDIO, {"servers": {"mailbox": {"type": "stdio", **STDIO}}}),
        ("opencode", NAMED, {"mcp": {"servers": {"mailbox": {"type": "remote", **NAMED}}}}),
        (
            "opencode",
            STDIO,
            {
                "mcp": {
                    "servers": {
                        "mailbox": {
                            "type": "local",
                            "command": ["claude-mailbox", "mcp-stdio", "--name", "a b"],
                        }
                    }
                }
            },
        ),
        ("claude-code", NAMED, {"mcpServers": {"mailbox": {"type": "http", **NAMED}}}),
        ("claude-code", STDIO, {"mcpServers": {"mailbox": STDIO}}),
        (
            "claude-code",
            HTTP,
            {
                "mcpServers": {
                    "mailbox": {
                        "type": "http",
                        **HTTP,
                        "headersHelper": "claude-mailbox client-headers",
                    }
                }
            },
        ),
    ],
)
def test_each_client_gets_its_form(
    client: str, server: dict[str, object], expected: object
) -> None:
    """As in the documentation of the client."""
    assert parse(client, server) == expected


def test_every_client_has_a_form_for_both_transports() -> None:
    """It is well formed and has our server."""
    for client in FILES:
        for server in (HTTP, STDIO):
            assert "mailbox" in json.dumps(parse(client, server))


class TestCommand:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
        monkeypatch.delenv("CLAUDE_MAILBOX_URL", raising=False)

    @staticmethod
    def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
        """Return the entry for Cursor, whose form adds nothing to it."""
        assert app.main(["mcp-config", "cursor", *arguments]) == 0
        captured = capsys.readouterr()
        assert captured.err == f"For {FILES['cursor']}\n"
        return json.loads(captured.out)["mcpServers"]["mailbox"]  # type: ignore[no-any-return]

    def test_uses_the_configured_port(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The name is a header."""
        (tmp_path / "mailbox.json").write_text('{"port": 40000}')
        server = self.run(capsys, "--name", "backend")
        assert server == {
            "url": "http://127.0.0.1:40000/mcp",
            "headers": {"X-Mailbox": "backend"},
        }

    def test_uses_the_given_url(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The daemon may have another port."""
        url = "http://127.0.0.1:40001"
        assert self.run(capsys, "--url", url) == {"url": f"{url}/mcp"}

    def test_without_a_known_port_uses_mcp_stdio(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Port 0 is chosen at each start; a Unix socket has none."""
        (tmp_path / "mailbox.json").write_text('{"port": 0}')
        server = self.run(capsys, "--name", "backend")
        assert server["args"] == ["mcp-stdio", "--name", "backend"]
        server = self.run(capsys, "--url", "unix:/somewhere/mailbox.sock")
        assert server["args"] == ["mcp-stdio", "--url", "unix:/somewhere/mailbox.sock"]

    def test_an_invalid_name_is_one_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 1."""
        assert app.main(["mcp-config", "cursor", "--name", " "]) == 1
        assert "--name" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("client", "where", "token"),
        [
            ("claude-code", ["headers", "Authorization"], "Bearer ${CLAUDE_MAILBOX_TOKEN}"),
            ("codex", ["bearer_token_env_var"], "CLAUDE_MAILBOX_TOKEN"),
            ("gemini", ["headers", "Authorization"], "Bearer $CLAUDE_MAILBOX_TOKEN"),
            ("cursor", ["headers", "Authorization"], "Bearer ${env:CLAUDE_MAILBOX_TOKEN}"),
            ("vscode", ["headers", "Authorization"], "Bearer ${env:CLAUDE_MAILBOX_TOKEN}"),
            ("opencode", ["headers", "Authorization"], "Bearer {env:CLAUDE_MAILBOX_TOKEN}"),
        ],
    )
    def test_on_another_machine_it_names_the_variable_with_the_token(
        self,
        client: str,
        where: list[str],
        token: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """In the client's own form; and over standard input and output, too."""
        monkeypatch.setenv("CLAUDE_MAILBOX_URL", "https://mail.example:37849")
        assert app.main(["mcp-config", client, "--name", "web"]) == 0
        text = capsys.readouterr().out
        entry = tomllib.loads(text) if client == "codex" else json.loads(text)
        while "mailbox" not in entry:
            (entry,) = entry.values()
        found = entry["mailbox"]
        for key in where:
            found = found[key]
        assert found == token
        assert "https://mail.example:37849/mcp" in text

        assert app.main(["mcp-config", client, "--name", "web", "--stdio"]) == 0
        text = capsys.readouterr().out
        assert '"https://mail.example:37849"' in text
        assert token.removeprefix("Bearer ") in text
