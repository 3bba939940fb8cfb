"""docs/claude-code.md says what is in the plugin."""

import json

from claude_mailbox.daemon.mcp.tools.schemas import TOOLS
from docs.markdown import code_of, table
from docs.pages import CLAUDE_CODE, ROOT

PLUGIN = ROOT / "plugin"


def test_hooks() -> None:
    """Every hook with its commands, in the plugin's order but for the commands of one hook."""
    hooks = json.loads((PLUGIN / "hooks" / "hooks.json").read_text())["hooks"]
    expected = {
        event: [
            handler["command"].partition('/bin/claude-mailbox" ')[2]
            for group in groups
            for handler in group["hooks"]
        ]
        for event, groups in hooks.items()
    }

    rows = table(CLAUDE_CODE, "Hook", "Command").rows

    assert {code_of(row["Hook"])[0]: code_of(row["Command"]) for row in rows} == expected


def test_skills() -> None:
    """Every skill, and no other."""
    written = table(CLAUDE_CODE, "Skill").codes("Skill")

    assert sorted(written) == sorted(folder.name for folder in (PLUGIN / "skills").iterdir())


def test_the_line_for_other_clients_names_tools_that_exist() -> None:
    """The lines for CLAUDE.md call tools by their names."""
    names = {tool.name for tool in TOOLS}

    assert {"peek_inbox", "check_inbox"} <= names
    assert "call peek_inbox after" in CLAUDE_CODE
    assert "call check_inbox, and" in CLAUDE_CODE
