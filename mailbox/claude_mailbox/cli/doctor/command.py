"""``doctor``: run all checks and print what they found."""

import os
from dataclasses import asdict

import rich_click as click

from claude_mailbox.cli import options
from claude_mailbox.cli.doctor.bundle import write_bundle
from claude_mailbox.cli.doctor.checks import examine
from claude_mailbox.cli.doctor.finding import OK, PROBLEM, Finding
from claude_mailbox.cli.tables import takes_colour
from claude_mailbox.client import codec
from claude_mailbox.client.terminal import output
from claude_mailbox.model.text import visible

_WORDS = {OK: ("OK", "green"), PROBLEM: ("PROBLEM", "red")}
_INDENT = 9


@click.command()
@click.option(
    "--bundle",
    metavar="FILE",
    help="Also write a zip file for a bug report: findings, configuration, log; no mail.",
)
@options.url
@options.as_json
def doctor(bundle: str | None, url: str | None, as_json: bool) -> int:
    """Check the installation, from Python to the round trip of a message. Changes nothing.

    Each line says OK, or what the problem is and what to do. The exit code is 1 if there is one.

    \b
    Examples:
      claude-mailbox doctor
      claude-mailbox doctor --json
      claude-mailbox doctor --bundle report.zip
    """
    findings = []
    for finding in examine(url):
        findings.append(finding)
        if not as_json:
            output.write(_lines(finding))
    if bundle is not None:
        write_bundle(os.path.abspath(bundle), findings)
    is_ok = all(finding.state != PROBLEM for finding in findings)
    if as_json:
        document = {"ok": is_ok, "checks": [asdict(finding) for finding in findings]}
        output.write(codec.encode(document) + "\n")
    return 0 if is_ok else 1


def _lines(finding: Finding) -> str:
    word, color = _WORDS.get(finding.state, ("NOTE", "yellow"))
    word = f"{word:<{_INDENT}}"
    if takes_colour():
        word = click.style(word, fg=color, bold=True)
    text = f"{word}{finding.check}: {visible(finding.detail)}\n"
    if finding.remedy:
        text += f"{'':{_INDENT}}-> {visible(finding.remedy)}\n"
    return text
