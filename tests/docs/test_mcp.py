"""docs/mcp.md has every tool and every client."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from claude_mailbox.cli.app import cli
from claude_mailbox.daemon.mcp.tools import (
    CHECK_CHARACTERS,
    HISTORY_CHARACTERS,
    HISTORY_MESSAGES,
    TOOLS,
    WATCH_LIMIT,
)
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
    assert f"about {CHECK_CHARACTERS:,} characters" in MCP
    assert f"up to {WATCH_LIMIT:.0f} seconds" in MCP
    assert f"At most {HISTORY_MESSAGES} messages and {HISTORY_CHARACTERS:,} characters" in MCP


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
