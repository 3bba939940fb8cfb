"""docs/clients.md has every client and every file."""

import os
from pathlib import Path

from claude_mailbox.cli.install.clients import CLIENTS
from docs.markdown import code_of, table
from docs.pages import DOCS

PAGE = (DOCS / "clients.md").read_text()
CAN = table(PAGE, "Client", "`CLIENT`")


def test_all_clients_are_in_the_table_and_no_others() -> None:
    """By the word that install takes, with the name."""
    written = {code_of(row["`CLIENT`"])[0]: row["Client"] for row in CAN.rows}

    assert written == {key: client.title for key, client in CLIENTS.items()}


def test_every_cell_says_whether_it_was_run() -> None:
    """And what was run has a version."""
    for row in CAN.rows:
        cells = [
            cell for head, cell in row.items() if head not in ("Client", "`CLIENT`", "Version")
        ]
        assert {cell.partition(":")[0] for cell in cells} <= {"run", "read", "not possible"}
        assert ("run" in cells) <= row["Version"][0].isdigit()
        assert "not possible" not in cells  # without a reason


def test_files() -> None:
    """Each is one that install changes."""
    for row, client in zip(table(PAGE, "Client", "Files").rows, _in_order(), strict=True):
        paths = {path for path, _ in CLIENTS[client].edits()}
        for code in code_of(row["Files"]):
            if code.startswith("~"):
                assert os.path.expanduser(code) in paths, code
            elif code.endswith((".json", ".yaml")):
                assert code in {Path(path).name for path in paths}


def _in_order() -> list[str]:
    titles = [row["Client"] for row in table(PAGE, "Client", "Files").rows]
    keys = {client.title: key for key, client in CLIENTS.items()}
    return [keys[title] for title in titles]


def test_the_versions_are_those_that_make_e2e_runs() -> None:
    """Of each client that it installs."""
    lines = (DOCS.parent / "tests" / "e2e" / "packages.txt").read_text().splitlines()
    packages = {word: version for word, _, version in map(str.split, lines)}
    versions = {code_of(row["`CLIENT`"])[0]: row["Version"] for row in CAN.rows}

    assert {word: versions[word] for word in packages} == packages
    script = (DOCS.parent / "tests" / "e2e" / "run").read_text()
    assert f"CLAUDE_CODE_VERSION:-{versions['claude-code']}}}" in script
    run = {word for word, row in zip(versions, CAN.rows, strict=True) if "run" in row.values()}
    assert run == {*packages, "claude-code"}
