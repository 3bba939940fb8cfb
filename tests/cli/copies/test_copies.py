"""``backup``, ``restore``, ``export``, ``import``, and the age of texts, with real daemons."""

import json
import mailbox
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.commandline import CommandLine, until
from support.daemon import DaemonProcess


@pytest.fixture
def line(daemon: DaemonProcess) -> Iterator[CommandLine]:
    """Commands, and some mail: one message delivered, two waiting."""
    with CommandLine(daemon) as line:
        line.send("bob", "first")
        assert line.run("check", "--name", "bob").returncode == 0
        line.send("bob", "From here on\n\u00e4 second line")
        line.send("carol", "third", sender="caf\u00e9")
        yield line


def good(line: CommandLine, *arguments: str) -> dict[str, object]:
    """Run a command that works; return its JSON."""
    result = line.run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def bodies(path: Path) -> list[str]:
    """Return the texts in a database."""
    with closing(sqlite3.connect(path)) as database:
        return [text for (text,) in database.execute("SELECT text FROM body ORDER BY message_id")]


class TestBackup:
    def test_is_complete_while_the_daemon_runs(self, line: CommandLine, tmp_path: Path) -> None:
        """One file with all mail, for nobody else's eyes."""
        target = tmp_path / "copy.db"
        good(line, "backup", str(target))

        assert len(bodies(target)) == 3
        assert target.stat().st_mode & 0o077 == 0
        assert [each.name for each in tmp_path.iterdir()] == ["copy.db"]
        assert line.pending("bob") == 1

    def test_overwrites_nothing(self, line: CommandLine, tmp_path: Path) -> None:
        """The file may be the only copy that somebody has."""
        target = tmp_path / "copy.db"
        target.write_text("mine")

        assert line.run("backup", str(target)).returncode == 1
        assert target.read_text() == "mine"

    def test_can_be_restored(self, line: CommandLine, tmp_path: Path) -> None:
        """What was sent later is gone from the database, but kept beside it."""
        target = tmp_path / "copy.db"
        good(line, "backup", str(target))
        line.send("bob", "after the backup")
        line.process.stop()

        told = good(line, "restore", str(target))

        line.process.start()
        assert line.pending("bob") == 1
        assert "after the backup" in bodies(Path(str(told["before"])))

    def test_is_not_restored_under_a_running_daemon(
        self, line: CommandLine, tmp_path: Path
    ) -> None:
        """It says who has the database."""
        target = tmp_path / "copy.db"
        good(line, "backup", str(target))

        result = line.run("restore", str(target))

        assert result.returncode == 1
        assert f"pid {line.process.pid}" in result.stderr
        assert line.pending("bob") == 1

    @pytest.mark.parametrize("content", [b"", b"garbage", b"SQLite format 3\0" + b"\0" * 2000])
    def test_a_file_that_is_no_backup_changes_nothing(
        self, line: CommandLine, tmp_path: Path, content: bytes
    ) -> None:
        """The database stays as it is."""
        file = tmp_path / "file"
        file.write_bytes(content)
        line.process.stop()

        assert line.run("restore", str(file)).returncode == 1

        line.process.start()
        assert line.pending("bob") == 1


class TestExport:
    def test_json_lines_have_all_messages(self, line: CommandLine, tmp_path: Path) -> None:
        """All messages, with what became of them."""
        file = tmp_path / "mail.jsonl"
        assert good(line, "export", str(file))["messages"] == 3

        first, second, third = (json.loads(row) for row in file.read_text().splitlines())

        assert (first["body"], first["state"], first["by"]) == ("first", "delivered", "check")
        assert (second["state"], second["attempts"]) == ("waiting", 0)
        assert third["from"] == "caf\u00e9"

    def test_a_mail_reader_can_open_mbox(self, line: CommandLine, tmp_path: Path) -> None:
        """Opened as a mail reader does, lines that begin with From included."""
        file = tmp_path / "mail.mbox"
        good(line, "export", "--format", "mbox", str(file))

        with closing(mailbox.mbox(file)) as box:
            first, second, third = list(box)

        assert second.get_payload(decode=True) is not None
        text = second.get_payload(decode=True).decode()
        assert text.replace(">From", "From") == "From here on\n\u00e4 second line\n"
        assert "bob" in first["To"]
        assert third["Date"]


class TestImport:
    def test_stores_all_messages_and_none_twice(self, line: CommandLine, tmp_path: Path) -> None:
        """Into another home; what waited waits there, too, and can be found."""
        file = tmp_path / "mail.jsonl"
        good(line, "export", str(file))
        with DaemonProcess() as other, CommandLine(other) as there:
            other.stop()
            assert good(there, "import", str(file)) == {"stored": 3, "known": 0}
            assert good(there, "import", str(file)) == {"stored": 0, "known": 3}
            other.start()
            assert [each.body for each in there.claim("bob")] == [
                "From here on\n\u00e4 second line"
            ]
            assert "first" in there.run("log", "--name", "bob", "--search", "first").stdout

    def test_stores_nothing_twice_after_a_mailbox_was_deleted(
        self, line: CommandLine, tmp_path: Path
    ) -> None:
        """A mailbox that is gone still is the sender or receiver of its messages."""
        file = tmp_path / "mail.jsonl"
        assert line.run("check", "--name", "bob").returncode == 0
        assert line.run("check", "--name", "carol").returncode == 0
        for name in ("bob", "carol", "caf\u00e9"):
            assert line.run("delete", "--name", name).returncode == 0
        good(line, "export", str(file))
        line.process.stop()

        assert good(line, "import", str(file)) == {"stored": 0, "known": 3}

    def test_a_broken_line_stores_nothing(self, line: CommandLine, tmp_path: Path) -> None:
        """And is named."""
        file = tmp_path / "mail.jsonl"
        good(line, "export", str(file))
        file.write_text(file.read_text() + "{}\n")
        with DaemonProcess() as other, CommandLine(other) as there:
            other.stop()
            result = there.run("import", str(file))
            assert result.returncode == 1
            assert "Line 4" in result.stderr
            assert bodies(other.database) == []


def test_keep_days_deletes_texts_and_keeps_facts() -> None:
    """What waits is not touched, and the search finds no old words."""
    with DaemonProcess({"keepDays": 1}) as daemon, CommandLine(daemon) as line:
        line.send("bob", "secret delivered")
        line.run("check", "--name", "bob")
        line.send("bob", "secret waiting")
        assert "secret" in line.run("log", "--name", "bob", "--search", "secret").stdout
        daemon.stop()
        with closing(sqlite3.connect(daemon.database)) as database, database:
            database.execute("UPDATE message SET sent_at = sent_at - 2 * 86400000")
        daemon.start()

        until(lambda: bodies(daemon.database) == ["", "secret waiting"], "the text to go")

        log = line.run("log", "--name", "bob").stdout
        assert "delivered by check" in log
        found = line.run("log", "--name", "bob", "--search", "secret").stdout
        assert "waiting" in found
        assert "delivered" not in found
