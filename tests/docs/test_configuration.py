"""docs/configuration.md has every key, flag, variable and file."""

import json
import re
from pathlib import Path

from claude_mailbox import config, paths
from docs.markdown import code_of, table
from docs.pages import CONFIGURATION
from docs.product import commands, options, source

KEYS = table(CONFIGURATION, "Key", "Flag", "Default")


def test_keys_and_defaults() -> None:
    """All of them, with the values that hold when nothing is said."""
    written = {code_of(row["Key"])[0]: code_of(row["Default"]) for row in KEYS.rows}
    values = {key: getattr(config.Config(), field) for key, field in config.KEYS.items()}
    defaults = {
        key: [] if value == "" else [json.dumps(value) if isinstance(value, bool) else str(value)]
        for key, value in values.items()
    }
    defaults["dbPath"] = ["~/.claude-mailbox/mailbox.db"]
    defaults["allowedHosts"] = ["[]"]

    assert written == defaults


def test_flags() -> None:
    """Those of ``serve``, each at its key."""
    serve = options(commands()["serve"])
    spelled = {
        "--" + re.sub(r"([A-Z])", r"-\1", code_of(row["Key"])[0]).lower(): row for row in KEYS.rows
    }

    for flag, row in spelled.items():
        assert code_of(row["Flag"]) == ([flag] if flag in serve else [])
    assert serve - spelled.keys() == {"--config", "--json"}


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    """The daemon takes it."""
    (block,) = re.findall(r"```json\n(.*?)```", CONFIGURATION, re.DOTALL)
    file = tmp_path / "mailbox.json"
    file.write_text(block)

    loaded = config.load(path=str(file))

    assert {config.KEYS[key]: value for key, value in json.loads(block).items()} == {
        field: getattr(loaded, field) for field in ("port", "delete_after_minutes")
    }


def test_environment() -> None:
    """The variables that the code reads."""
    written = set(table(CONFIGURATION, "Environment").codes("Environment"))
    read = {
        name
        for module in source()
        for name in re.findall(r"(?<![A-Z_])CLAUDE_MAILBOX_[A-Z]+", module)
    }

    assert written == read


def test_the_home_folder() -> None:
    """Every file in it is in the table, and no other."""
    files = {
        Path(place).name
        for place in (
            paths.database_path(),
            paths.config_path(),
            paths.socket_path(),
            paths.lock_path(),
            paths.log_path(),
            paths.launch_record_path(),
            paths.secret_path(),
            paths.status_path(),
            paths.unanswered_path(),
        )
    }

    written = set(table(CONFIGURATION, "File").codes("File"))

    assert written == files | {f"{Path(paths.bells_path()).name}/"}
