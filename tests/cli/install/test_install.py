"""``install`` and ``uninstall`` of every client, in a home folder of the test's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomlkit
from click.testing import CliRunner, Result

from claude_mailbox.cli.commands.clients.install import install, uninstall
from claude_mailbox.cli.install.clients import CLIENTS

every_client = pytest.mark.parametrize("client", CLIENTS)

# Client -> one of its files, and what a user may have written there.
FILES = {
    "claude-code": (".claude.json", '{\n  "numStartups": 3,\n  "mcpServers": {}\n}\n'),
    "codex": (
        ".codex/config.toml",
        '# my model\nmodel = "gpt-6"   # the big one\n\n[mcp_servers.docs]\ncommand = "docs"\n\n'
        "[tui]\nnotifications = true\n",
    ),
    "gemini": (
        ".gemini/settings.json",
        '{\n\t"ui": {"theme": "dark"},\n\t"mcpServers": {\n\t\t"docs": {"command": "docs"}\n\t}\n}',
    ),
    "opencode": (
        ".config/opencode/opencode.jsonc",
        '{\n  // mine\n  "model": "a/b",\n  "mcp": {\n    "docs": {"type": "remote", "url": "http://x"}, // y\n  },\n}\n',
    ),
    "cursor": (".cursor/mcp.json", '{"mcpServers": {"docs": {"command": "docs"}}}'),
    "vscode": (
        ".config/Code/User/mcp.json",
        '{\r\n  "inputs": [],\r\n  "servers": {}\r\n}\r\n',
    ),
    "copilot": (".copilot/mcp-config.json", '{"mcpServers": {}}\n'),
    "windsurf": (".codeium/windsurf/mcp_config.json", "{}\n"),
    "zed": (
        ".config/zed/settings.json",
        '// Zed settings\n{\n  "theme": "One Dark", /* dark */\n  "vim_mode": true, // yes\n}\n',
    ),
    "qwen": (".qwen/settings.json", '{"tools": {"approvalMode": "default"}}\n'),
    "goose": (
        ".config/goose/config.yaml",
        "GOOSE_MODEL: x # mine\nextensions:\n    docs:\n        type: stdio\n        cmd: docs\n"
        "    # the last\nGOOSE_MODE: auto\n",
    ),
    "amp": (".config/amp/settings.json", '{\n  "amp.mcpServers": {\n    // none\n  }\n}\n'),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's home, and no variable that leads elsewhere."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "GEMINI_CLI_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("COPILOT_HOME", "CLAUDE_MAILBOX_URL", "CLAUDE_MAILBOX_TOKEN", "CLAUDE_MAILBOX_CA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(command: object, *arguments: str) -> Result:
    """Run a command that is to succeed."""
    result = CliRunner().invoke(command, arguments)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output + str(result.exception)
    return result


def files(home: Path) -> dict[str, bytes]:
    """Return what lies in the home."""
    return {
        str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()
    }


@every_client
def test_uninstall_leaves_nothing_in_an_empty_home(home: Path, client: str) -> None:
    """Not even empty files."""
    run(install, client)
    assert any(b"mcp-stdio" in content for content in files(home).values())
    run(uninstall, client)

    assert files(home) == {}


@every_client
def test_what_others_wrote_stays_byte_for_byte(home: Path, client: str) -> None:
    """In all of its files, with a copy kept meanwhile."""
    name, content = FILES[client]
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    run(install, client)
    installed = files(home)
    kept = [line for line in content.splitlines() if line.strip("{} \t,")]
    for line in kept:
        words = line.split("//")[0].strip().strip("{},").rstrip("}")
        assert words in path.read_text(), words
    assert installed[f"{name}.before-claude-mailbox"] == content.encode()

    assert "Nothing to change" in run(install, client).output
    assert files(home) == installed

    run(uninstall, client)
    assert files(home) == {name: content.encode()}
    assert "Nothing to change" in run(uninstall, client).output


@every_client
def test_changes_that_others_make_later_stay(home: Path, client: str) -> None:
    """Then the copy is not what comes back."""
    name, content = FILES[client]
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, newline="")
    run(install, client)
    later = path.read_text().replace("docs", "papers").replace("mine", "yours")
    later = later.replace("{", "{\n", 1) if path.suffix.startswith(".json") else later + "# later\n"
    path.write_text(later, newline="")
    run(uninstall, client)

    left = path.read_text()
    assert "mcp-stdio" not in left
    assert "papers" in left or "docs" not in content
    assert not (home / f"{name}.before-claude-mailbox").exists()


@every_client
def test_dry_run_shows_the_difference_and_changes_nothing(home: Path, client: str) -> None:
    """Of each file."""
    output = run(install, client, "--dry-run").output

    assert "+++" in output
    assert "mcp-stdio" in output
    assert files(home) == {}
    told = json.loads(run(install, client, "--dry-run", "--json").output)
    assert told["client"] == client
    assert all(each["changed"] for each in told["files"])


@every_client
def test_an_entry_of_somebody_else_is_refused(home: Path, client: str) -> None:
    """And no file is touched."""
    run(install, client)
    (path,) = (home / name for name, text in files(home).items() if b"mcp-stdio" in text)
    path.write_text(path.read_text().replace("mcp-stdio", "other-server"))
    before = files(home)
    result = CliRunner().invoke(install, [client])

    assert "runs something else" in str(result.exception)
    assert files(home) == before


@pytest.mark.parametrize(
    ("client", "content"),
    [
        ("cursor", '{"mcpServers": ['),
        ("cursor", "[]"),
        ("cursor", '{"mcpServers": []}'),
        ("zed", "{ /* no end"),
        ("codex", "[mcp_servers\n"),
        ("codex", "mcp_servers = 3\n"),
        ("goose", "extensions: {docs: {}}\n"),
        ("goose", "extensions:\n\tdocs:\n"),
        ("gemini", '{"hooks": []}'),
        ("gemini", "{} // comment"),
    ],
)
def test_an_unknown_form_is_refused(home: Path, client: str, content: str) -> None:
    """With a sentence that names the file."""
    path = home / FILES[client][0]
    path.parent.mkdir(parents=True)
    path.write_text(content)
    result = CliRunner().invoke(install, [client])

    assert str(path) in str(result.exception)
    assert "Correct" in str(result.exception)
    assert files(home) == {FILES[client][0]: content.encode()}


def test_a_file_that_is_not_ours_is_not_overwritten(home: Path) -> None:
    """Where we have a whole file."""
    path = home / ".copilot" / "hooks" / "claude-mailbox.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")

    assert "somebody else's" in str(CliRunner().invoke(install, ["copilot"]).exception)
    assert files(home) == {".copilot/hooks/claude-mailbox.json": b"{}"}


def test_hooks_of_others_stay_in_the_file_of_cursor(home: Path) -> None:
    """Byte for byte, before ours and after them."""
    path = home / ".cursor" / "hooks.json"
    path.parent.mkdir()
    content = '{\n  "version": 1,\n  "hooks": {"stop": [{"command": "./audit.sh", "loop_limit": 10}]}\n}\n'
    path.write_text(content)
    run(install, "cursor")
    hooks = json.loads(path.read_text())["hooks"]
    assert [each["command"].rpartition("/")[2].split()[0] for each in hooks["stop"]] == [
        "audit.sh",
        hooks["sessionStart"][0]["command"].rpartition("/")[2].split()[0],
    ]
    assert "client-hook --client cursor --moment stop" in hooks["stop"][1]["command"]
    assert "Nothing to change" in run(install, "cursor").output

    path.write_text(path.read_text().replace("./audit.sh", "./log.sh"))
    run(uninstall, "cursor")
    assert files(home) == {".cursor/hooks.json": content.replace("./audit.sh", "./log.sh").encode()}


@pytest.mark.parametrize(
    "content",
    ['{"version": 2}', '{"hooks": []}', '{"hooks": {"stop": {}}}', '{"hooks": {"stop": [1]}}'],
)
def test_unknown_hooks_of_cursor_are_refused(home: Path, content: str) -> None:
    """And the other file is not touched either."""
    path = home / ".cursor" / "hooks.json"
    path.parent.mkdir()
    path.write_text(content)

    assert str(path) in str(CliRunner().invoke(install, ["cursor"]).exception)
    assert files(home) == {".cursor/hooks.json": content.encode()}


def test_copilot_and_vscode_share_a_folder_and_not_a_file(home: Path) -> None:
    """What one uninstall takes out is not the other's."""
    run(install, "copilot")
    before = files(home)
    run(install, "vscode")
    assert len(files(home)) == len(before) + 2
    run(uninstall, "vscode")

    assert files(home) == before


def test_what_a_user_adds_to_our_entry_stays(home: Path) -> None:
    """Such as a timeout."""
    run(install, "codex")
    path = home / ".codex" / "config.toml"
    document = tomlkit.parse(path.read_text())
    document["mcp_servers"]["mailbox"]["tool_timeout_sec"] = 90  # type: ignore[index]
    path.write_text(tomlkit.dumps(document))
    run(install, "codex")

    assert "tool_timeout_sec = 90" in path.read_text()


def test_entries_are_as_clients_want_them(home: Path) -> None:
    """In the form of each."""
    for client in CLIENTS:
        run(install, client)

    def load(name: str) -> dict:
        return json.loads((home / name).read_text())

    toml = tomlkit.parse((home / ".codex/config.toml").read_text()).unwrap()
    assert toml["mcp_servers"]["mailbox"]["args"][-2:] == ["mcp-stdio", "--session"]
    assert load(".cursor/mcp.json")["mcpServers"]["mailbox"]["command"]
    assert load(".config/Code/User/mcp.json")["servers"]["mailbox"]["type"] == "stdio"
    assert load(".config/opencode/opencode.json")["mcp"]["mailbox"]["type"] == "local"
    assert load(".copilot/mcp-config.json")["mcpServers"]["mailbox"]["tools"] == ["*"]
    assert load(".config/amp/settings.json")["amp.mcpServers"]["mailbox"]["args"]
    assert load(".config/zed/settings.json")["context_servers"]["mailbox"]["args"]
    assert "  mailbox:\n    type: stdio\n" in (home / ".config/goose/config.yaml").read_text()
    hooks = load(".gemini/settings.json")["hooks"]["BeforeAgent"][0]["hooks"][0]
    assert "client-hook --client gemini --moment prompt" in hooks["command"]
    (handler,) = load(".copilot/hooks/claude-mailbox-vscode.json")["hooks"]["agentStop"]
    assert handler["powershell"] == f"& {handler['bash']}"
    assert load(".cursor/hooks.json")["hooks"]["stop"][0]["loop_limit"] is None
    assert load(".agents/plugins/claude-mailbox/plugin.json")["name"] == "claude-mailbox"
    (rule,) = load(".agents/plugins/claude-mailbox/hooks/hooks.json")["hooks"]["Stop"]
    assert "client-hook --client goose --moment stop" in rule["hooks"][0]["command"]


@every_client
def test_a_daemon_on_another_machine_is_named_and_the_token_is_not_written(
    home: Path, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address in the commands; the authority's file; and the token's variable by its name."""
    monkeypatch.setenv("CLAUDE_MAILBOX_URL", "https://mail.example:37849")
    monkeypatch.setenv("CLAUDE_MAILBOX_TOKEN", "cmb_1_secret")
    monkeypatch.setenv("CLAUDE_MAILBOX_CA", "/etc/mail.pem")
    run(install, client)
    there = {name: content.decode() for name, content in files(home).items()}
    (entry,) = (text for text in there.values() if "mcp-stdio" in text)

    assert "--url" in entry
    assert "https://mail.example:37849" in entry
    assert "/etc/mail.pem" in entry
    form = {
        "claude-code": '"${CLAUDE_MAILBOX_TOKEN}"',
        "codex": '"CLAUDE_MAILBOX_TOKEN"',
        "cursor": '"${env:CLAUDE_MAILBOX_TOKEN}"',
        "gemini": '"$CLAUDE_MAILBOX_TOKEN"',
        "opencode": '"{env:CLAUDE_MAILBOX_TOKEN}"',
        "qwen": '"$CLAUDE_MAILBOX_TOKEN"',
        "vscode": '"${env:CLAUDE_MAILBOX_TOKEN}"',
    }
    assert form.get(client, "") in entry
    assert not any("secret" in text for text in there.values())
    for text in there.values():
        assert ("client-hook" in text) <= ("mail.example" in text.partition("client-hook")[2])

    monkeypatch.delenv("CLAUDE_MAILBOX_URL")
    run(install, client)
    assert not any(b"mail.example" in content for content in files(home).values())
    run(uninstall, client)
    assert files(home) == {}
