"""docs/cli.md has every command with every option, and every exit code."""

import re
from pathlib import Path

import pytest

from claude_mailbox.client.mail.watch import EXIT_TIMEOUT
from docs.markdown import code_of, table, tables
from docs.pages import CLI, DOCUMENTS, ROOT
from docs.product import commands, errors, options

ROWS = {
    code_of(row["Command"])[0]: row
    for each in tables(CLI)
    if each.columns[:2] == ["Command", "Options"]
    for row in each.rows
}


def test_all_commands_are_there_and_no_others() -> None:
    """In the tables of the page, one for each panel of the help."""
    assert sorted(ROWS) == sorted(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_all_options_are_there_and_no_others(name: str) -> None:
    """Of each command."""
    assert set(code_of(ROWS[name]["Options"])) == options(commands()[name])


@pytest.mark.parametrize(
    "name",
    [
        "send",
        "watch",
        "check",
        "peek",
        "receipt",
        "log",
        "list",
        "rename",
        "status",
        "start",
        "stop",
        "doctor",
    ],
)
def test_url_and_json(name: str) -> None:
    """Those that speak with the daemon, and that a script may want to read, take both."""
    assert {"--url", "--json"} <= options(commands()[name])


def test_remarks_speak_of_options_that_exist() -> None:
    """A remark names options of its own command only."""
    for name, row in ROWS.items():
        written = set(re.findall(r"--[a-z][a-z-]*", row["Worth knowing"]))
        assert written <= options(commands()[name]), name


def test_exit_codes() -> None:
    """The table has those of the errors, the time-out and success."""
    written = {int(code) for code in table(CLI, "Exit code").codes("Exit code")}

    assert written == {0, EXIT_TIMEOUT} | {error.exit_code for error in errors()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_in_examples_exist(document: Path) -> None:
    """Whatever is shown in a block of code can be typed: the command and its options."""
    text = (ROOT / document).read_text()
    for name, rest in re.findall(
        r"^(?: {4})?claude-mailbox ([a-z][a-z-]*)(.*)$", text, re.MULTILINE
    ):
        written = set(re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", rest.partition("#")[0]))
        assert name in commands()
        assert written <= options(commands()[name]), f"{name}{rest}"
