"""docs/mcp.md has every tool and every client."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from claude_mailbox.cli.app import cli
from claude_mailbox.daemon.mcp.clients import CHARACTERS, DEFAULT_CHARACTERS
from claude_mailbox.daemon.mcp.server import INBOX, PROMPT
from claude_mailbox.daemon.mcp.tools.arguments import IGNORED
from claude_mailbox.daemon.mcp.tools.handlers import LIST_LIMIT
from claude_mailbox.daemon.mcp.tools.history import HISTORY_CHARACTERS, HISTORY_MESSAGES
from claude_mailbox.daemon.mcp.tools.parts import HELD_SECONDS
from claude_mailbox.daemon.mcp.tools.schemas import LEAST_CHARACTERS, TOOLS, WATCH_LIMIT
from docs.markdown import code_of, table
from docs.pages import MCP
from docs.product import commands

CLIENTS = table(MCP, "Client", "`CLIENT`")


def test_tools() -> None:
    """The tools and their arguments, in the code's order."""
    rows = table(MCP, "Tool", "Arguments").rows

    written = [(code_of(row["Tool"])[0], code_of(row["Arguments"])) for row in rows]

    assert written == [(tool.name, list(tool.properties)) for tool in TOOLS]


def test_limits() -> None:
    """The numbers in the table are those of the code."""
    assert f"at most {DEFAULT_CHARACTERS:,} characters" in MCP
    assert f"`max_chars` (at least {LEAST_CHARACTERS:,})" in MCP
    assert f"at most {LIST_LIMIT}, how many `more`" in MCP
    assert f"next part within {HELD_SECONDS / 60:.0f} minutes".replace("5", "five") in MCP
    assert f"up to {WATCH_LIMIT:.0f} seconds" in MCP
    assert f"At most {HISTORY_MESSAGES} messages and {HISTORY_CHARACTERS:,} characters" in MCP


def test_sizes_of_results() -> None:
    """Each client that gets more is in the table, by what it calls itself, and with how much."""
    rows = table(MCP, "Client", "Version").rows

    given = {row["It says that it is"]: int(row["We give"].replace(",", "")) for row in rows}

    for name, characters in CHARACTERS.items():
        assert [each for said, each in given.items() if f" {name}/" in said] == [characters]
    assert sorted(given.values()) == sorted(
        [*CHARACTERS.values(), *[DEFAULT_CHARACTERS] * (len(rows) - len(CHARACTERS))]
    )


def test_arguments_that_are_ignored() -> None:
    """All of them are named."""
    (section,) = re.findall(r"^## Arguments\n(.*?)^## ", MCP, re.DOTALL | re.MULTILINE)

    assert set(code_of(section)) >= IGNORED


def test_all_clients_are_there_and_no_others() -> None:
    """In the order of the command's help."""
    (argument,) = (each for each in commands()["mcp-config"].params if each.name == "client")

    assert CLIENTS.codes("`CLIENT`") == list(argument.type.choices)  # type: ignore[attr-defined]


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that returns the configuration that the command prints."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_MAILBOX_URL", raising=False)

    def run(client: str, *options: str) -> Any:
        arguments = ["mcp-config", client, "--name", "backend", *options]
        return parse(client, CliRunner().invoke(cli, arguments).stdout)

    return run


def parse(client: str, text: str) -> Any:
    """Return what a client reads from its configuration."""
    return tomllib.loads(text) if client == "codex" else json.loads(text)


@pytest.mark.parametrize("row", CLIENTS.rows, ids=CLIENTS.codes("`CLIENT`"))
def test_a_configuration_is_what_the_command_prints(row: dict[str, str], printed: Any) -> None:
    """For each client, over HTTP."""
    client = code_of(row["`CLIENT`"])[0]
    written = "\n".join(code_of(row["Configuration"]))

    assert parse(client, written) == printed(client)


def test_the_configuration_for_standard_input_and_output(printed: Any) -> None:
    """It is that of most clients."""
    (block,) = re.findall(r"```json\n(.*?)```", MCP, re.DOTALL)

    for client in ("claude-code", "gemini", "cursor"):
        assert json.loads(block) == printed(client, "--stdio")


def test_the_resource_and_the_prompt_have_their_names() -> None:
    """Those that the server gives them."""
    assert {INBOX, PROMPT} <= set(code_of(MCP))
