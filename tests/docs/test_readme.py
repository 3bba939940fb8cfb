"""README.md says what is there, all of it, and nothing else."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import claude_mailbox
from claude_mailbox import config, paths
from claude_mailbox.cli.app import cli
from claude_mailbox.client.mail.watch import EXIT_TIMEOUT
from claude_mailbox.daemon.mcp.tools import TOOLS
from claude_mailbox.daemon.web.mail import MailRoutes
from claude_mailbox.daemon.web.mailboxes import MailboxRoutes
from claude_mailbox.daemon.web.sessions import SessionRoutes
from claude_mailbox.errors import MailboxError
from docs.markdown import anchors, code_of, links, table
from support.daemon import DaemonProcess
from wire.connection import Connection

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PACKAGE = Path(claude_mailbox.__file__).parent
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "plugin/**/*.md", "bench/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)

# What stands beside the verbs: the stream, and MCP.
FURTHER_ROUTES = {("GET", "/v1/follow"), ("POST", "/mcp")}


def source() -> Iterator[str]:
    """Return the text of each module."""
    return (path.read_text() for path in PACKAGE.rglob("*.py"))


def commands() -> dict[str, click.Command]:
    """Return the commands of the code by name."""
    with click.Context(cli) as context:
        found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options(command: click.Command) -> set[str]:
    """Return the long options of a command."""
    return {
        spelling
        for parameter in command.params
        for spelling in (*parameter.opts, *parameter.secondary_opts)
        if spelling.startswith("--")
    }


class TestCommands:
    """The table of commands."""

    def test_all_are_there_and_no_others(self) -> None:
        """By name."""
        written = [line.split()[1] for line in table(README, "Command").codes("Command")]

        assert sorted(written) == sorted(commands())

    def test_their_options_exist(self) -> None:
        """Every option that a row speaks of is one of that command."""
        for row in table(README, "Command").rows:
            name = code_of(row["Command"])[0].split()[1]
            written = set(re.findall(r"--[a-z][a-z-]*", " ".join(row.values())))
            assert written <= options(commands()[name]), name

    @pytest.mark.parametrize(
        "name",
        ["send", "watch", "check", "peek", "list", "rename", "status", "start", "stop", "doctor"],
    )
    def test_url_and_json(self, name: str) -> None:
        """Those that speak with the daemon, and that a script may want to read, take both."""
        assert {"--url", "--json"} <= options(commands()[name])

    def test_commands_in_examples_exist(self) -> None:
        """Whatever is shown in a block of code can be typed."""
        shown = re.findall(r"^claude-mailbox ([a-z][a-z-]*)", README, re.MULTILINE)

        assert set(shown) <= set(commands())
        assert shown

    def test_make_targets_exist(self) -> None:
        """Those that the README tells of."""
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))

        assert set(re.findall(r"\bmake ([a-z0-9-]+)\b[ `]", README)) & {"demo", "run", "test"}
        assert set(re.findall(r"`make ([a-z0-9-]+)`", README)) <= targets
        assert set(re.findall(r"^make ([a-z0-9-]+)", README, re.MULTILINE)) <= targets


def errors() -> list[type[MailboxError]]:
    """Return all classes of errors, wherever they are."""
    for module in pkgutil.walk_packages([str(PACKAGE)], "claude_mailbox."):
        if not module.name.endswith("__main__") and "windows" not in module.name:
            importlib.import_module(module.name)
    found, todo = [], [MailboxError]
    while todo:
        each = todo.pop()
        found.append(each)
        todo += each.__subclasses__()
    return found


def test_exit_codes() -> None:
    """The table has those of the errors, the time-out and success."""
    written = {int(code) for code in table(README, "Exit code").codes("Exit code")}

    assert written == {0, EXIT_TIMEOUT} | {error.exit_code for error in errors()}


class TestEndpoints:
    """The table of endpoints."""

    @staticmethod
    def written() -> list[tuple[str, str]]:
        """Return method and path of each row."""
        pairs = [code.split() for code in table(README, "Endpoint").codes("Endpoint")]
        return [(method, target.partition("?")[0]) for method, target in pairs]

    def test_all_are_there_and_no_others(self) -> None:
        """By method and path."""
        tables = (MailRoutes(None, None), MailboxRoutes(None, None, dict), SessionRoutes(None))  # type: ignore[arg-type]
        routes = {(route.method, route.path) for table in tables for route in table.routes()}

        assert sorted(self.written()) == sorted({*routes, *FURTHER_ROUTES})

    def test_a_daemon_answers_them(self, daemon: DaemonProcess) -> None:
        """None is unknown to it, and each takes one method alone."""
        other = {"GET": "PUT", "POST": "PUT", "DELETE": "PUT"}
        for method, target in self.written():
            with Connection(("127.0.0.1", daemon.port)) as connection:
                assert connection.request(method, target).status not in {404, 405, 500}, target
            with Connection(("127.0.0.1", daemon.port)) as connection:
                assert connection.request(other[method], target).status == 405, target

    def test_parameters(self) -> None:
        """Those of the code are in the table, and the reverse."""
        text = " ".join(
            code
            for row in table(README, "Endpoint").rows
            for cell in row.values()
            for code in code_of(cell)
        )
        written = set(re.findall(r"\b([a-zA-Z]+)=", text))
        read = {
            name
            for module in source()
            for name in re.findall(r"request\.(?:number|parameter|has)\(\s*\"(\w+)\"", module)
        }

        assert written == read

    def test_fields_of_health(self, daemon: DaemonProcess) -> None:
        """As they are answered."""
        (row,) = [row for row in table(README, "Endpoint").rows if "/health" in row["Endpoint"]]
        with Connection(("127.0.0.1", daemon.port)) as connection:
            answered = connection.request("GET", "/health").json()

        assert code_of(row["Answer"])[0].strip("{}").split(", ") == list(answered)

    def test_status_codes(self) -> None:
        """Those of the errors; but for 500, which is a bug."""
        rows = table(README, "Status", "When").rows
        written = {int(code) for row in rows for code in re.findall(r"\d{3}", row["Status"])}

        assert written == {error.status for error in errors()} - {500}

    def test_reasons_exist(self) -> None:
        """The codes that the tables name are those of errors."""
        known = {error.code for error in errors()}
        rows = [*table(README, "Status", "When").rows, *table(README, "Endpoint").rows]
        for row in rows:
            for word in re.findall(r"40[49] `([a-z-]+)`", " ".join(row.values())):
                assert word in known


def test_tools() -> None:
    """The tools and their arguments, in the code's order."""
    rows = table(README, "Tool", "Arguments").rows

    written = [(code_of(row["Tool"])[0], code_of(row["Arguments"])) for row in rows]

    assert written == [(tool.name, list(tool.properties)) for tool in TOOLS]


class TestConfiguration:
    """The table of keys."""

    def test_keys_and_defaults(self) -> None:
        """All of them, with the values that hold when nothing is said."""
        written = {}
        for row in table(README, "Key", "Flag", "Default").rows:
            written[code_of(row["Key"])[0]] = code_of(row["Default"])[0]
        defaults = {key: getattr(config.Config(), field) for key, field in config.KEYS.items()}
        defaults["dbPath"] = "~/.claude-mailbox/mailbox.db"
        defaults["allowedHosts"] = "[]"

        assert written == {key: str(value) for key, value in defaults.items()}

    def test_flags(self) -> None:
        """Those of ``serve``, each at its key."""
        rows = table(README, "Key", "Flag", "Default").rows
        flags = {code for row in rows for code in code_of(row["Flag"])}
        serve = options(commands()["serve"])

        assert flags <= serve
        for row in rows:
            spelled = "--" + re.sub(r"([A-Z])", r"-\1", code_of(row["Key"])[0]).lower()
            assert code_of(row["Flag"]) == ([spelled] if spelled in serve else [])

    def test_environment(self) -> None:
        """The variables that the code reads."""
        written = set(table(README, "Environment").codes("Environment"))
        read = {
            name
            for module in source()
            for name in re.findall(r"(?<![A-Z_])CLAUDE_MAILBOX_[A-Z]+", module)
        }

        assert written == read

    def test_the_home_folder(self) -> None:
        """Every file in it is named."""
        for place in (
            paths.database_path(),
            paths.config_path(),
            paths.socket_path(),
            paths.lock_path(),
            paths.log_path(),
        ):
            assert f"`{Path(place).name}`" in README
        assert f"`{Path(paths.bells_path()).name}/`" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links(document: Path) -> None:
    """Files and headings that a document points at are there."""
    text = (ROOT / document).read_text()
    for target in links(text):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        path = (ROOT / document).parent / place if place else ROOT / document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), target
