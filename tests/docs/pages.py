"""The documents themselves."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "plugin/**/*.md", "bench/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)

README = (ROOT / "README.md").read_text()
BENCHMARKS = (DOCS / "benchmarks.md").read_text()
CLAUDE_CODE = (DOCS / "claude-code.md").read_text()
CLI = (DOCS / "cli.md").read_text()
CONFIGURATION = (DOCS / "configuration.md").read_text()
HOW_IT_IS_BUILT = (DOCS / "how-it-is-built.md").read_text()
MCP = (DOCS / "mcp.md").read_text()
REST = (DOCS / "rest.md").read_text()
