"""README.md: short, and true."""

import re

from bench import report, table
from docs.markdown import code_of, links
from docs.markdown import table as written_table
from docs.pages import DOCS, DOCUMENTS, README, ROOT
from docs.product import commands, options

SIZE_LIMIT = 9_700
LINES_LIMIT = 165


def test_it_is_short() -> None:
    """Details are in docs/."""
    assert len(README.encode()) <= SIZE_LIMIT
    assert len(README.splitlines()) <= LINES_LIMIT


def test_it_leads_to_every_page() -> None:
    """And says in the table at its end what is in each."""
    rows = written_table(README, "Page").rows
    listed = [target for row in rows for target in links(row["Page"])]

    assert sorted(listed) == sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))


def test_the_table_has_all_commands_and_no_others() -> None:
    """One line each; those that only hooks run are left to the reference."""
    written = [line.split()[0] for line in written_table(README, "Command").codes("Command")]
    for_people = [name for name in commands() if not name.startswith(("session-", "client-"))]

    assert sorted(written) == sorted(for_people)


def test_options_in_the_table_exist() -> None:
    """Every option that a row speaks of is one of that command."""
    for row in written_table(README, "Command").rows:
        name = code_of(row["Command"])[0].split()[0]
        written = set(re.findall(r"--[a-z][a-z-]*", " ".join(row.values())))
        assert written <= options(commands()[name]), name


def test_arguments_in_the_table_exist() -> None:
    """A command whose row has an argument takes one, and the reverse."""
    for code in written_table(README, "Command").codes("Command"):
        name, *words = code.split()
        takes_one = any(
            each.param_type_name == "argument" and each.required for each in commands()[name].params
        )
        has_one = len(words) == 1 and words[0].isupper()
        assert has_one is takes_one, name


def test_figures_are_those_of_the_benchmark() -> None:
    """Every time and rate is a median that was measured."""
    text = (ROOT / "bench/results/2-cores.json").read_text()
    figures = report.from_json(text, "2-cores.json").figures
    measured = {table.amount(figure.median, figure.unit) for figure in figures}

    written = set(re.findall(r"\d[\d.,]*(?: ms|/s)\b", README))

    assert written
    assert written <= measured


def test_make_targets_exist() -> None:
    """Those that any document tells of; and the README tells how to try it."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        shown = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, re.MULTILINE))
        assert shown <= targets, document

    assert {"demo", "run", "test"} <= set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
