"""``token``: make, list, revoke."""

import json
from collections.abc import Iterator

import pytest

from support.commandline import CommandLine
from support.network import NetworkDaemon


@pytest.fixture(scope="module")
def commands() -> Iterator[CommandLine]:
    """The command line on the machine of a daemon for others."""
    with NetworkDaemon() as network, CommandLine(network) as commands:
        yield commands


def test_a_token_is_made_listed_used_and_revoked(commands: CommandLine) -> None:
    """It is printed alone, so that it can be written to a file."""
    made = commands.run("token", "create", "--mailbox", "web-*", "--mailbox", "db", "--days", "1.5")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    assert made.stdout == f"{text}\n"
    token_id = text.split("_")[1]
    assert f"Token {token_id} for web-* db, good until" in made.stderr

    listed = commands.run("token", "list")
    assert token_id in listed.stdout
    assert "never used" in listed.stdout
    assert text not in listed.stdout
    network = commands.process
    assert isinstance(network, NetworkDaemon)
    remote = {**network.client_environment, "CLAUDE_MAILBOX_TOKEN": text}
    assert commands.run("peek", "--name", "db", environment=remote).returncode == 0
    row = next(
        row
        for row in json.loads(commands.run("token", "list", "--json").stdout)
        if row["id"] == token_id
    )
    assert row["mailboxes"] == ["web-*", "db"]
    assert row["lastUsedAt"] is not None

    # Also where the address of a daemon elsewhere is set.
    assert commands.run("token", "revoke", token_id, environment=remote).returncode == 0
    assert commands.run("peek", "--name", "db", environment=remote).returncode == 1
    again = commands.run("token", "revoke", token_id)
    assert again.returncode == 1
    assert "token list" in again.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--mailbox", ""], ["--mailbox", "a,b"], ["--mailbox", "a", "--days", "0"], []],
)
def test_mistakes_make_no_token(commands: CommandLine, arguments: list[str]) -> None:
    """Make no token."""
    before = commands.run("token", "list").stdout
    done = commands.run("token", "create", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert commands.run("token", "list").stdout == before


def test_json_has_the_token(commands: CommandLine) -> None:
    """One document, with the token."""
    made = json.loads(commands.run("token", "create", "--mailbox", "*", "--json").stdout)
    assert made["token"].split("_")[1] == made["id"]
