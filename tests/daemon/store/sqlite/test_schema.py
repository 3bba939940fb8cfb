"""The database file: ours, or left alone."""

import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from claude_mailbox.daemon.store.sqlite.database import close_database, open_database
from claude_mailbox.daemon.store.sqlite.schema import APPLICATION_ID, MIGRATIONS
from claude_mailbox.daemon.store.sqlite.transaction import create_transaction
from claude_mailbox.errors import StartupError
from claude_mailbox.model.drafts import Draft
from daemon.store.sqlite.disk import watched_disk


def foreign(path: Path) -> None:
    """Make a database of another program."""
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE recipe (title TEXT); INSERT INTO recipe VALUES ('soup')")
    connection.close()


def foreign_with_journal(path: Path) -> None:
    """Make one in WAL mode, as if its program had been killed."""
    foreign(path)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.close()


def foreign_and_empty(path: Path) -> None:
    """Make one that says whose it is and has no tables yet."""
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 7)
    connection.close()


def newer(path: Path) -> None:
    """Make one of ours by a version that is to come."""
    connection = open_database(str(path))
    connection.pragma("user_version", len(MIGRATIONS) + 1)
    close_database(connection)


def ours(path: Path, messages: int = 100) -> None:
    """Make one of ours with mail in it."""
    connection = open_database(str(path))
    with connection:
        for number in range(messages):
            create_transaction(connection).mail.send(Draft("a", "b", f"{number} " + "x" * 300), 1)
    close_database(connection)


def leave_behind(connection: apsw.Connection, path: Path) -> None:
    """Copy what is on the disk to *path*, as if the program were killed now; close."""
    for end in ("", "-wal"):
        Path(f"{path}{end}").write_bytes(Path(f"{connection.filename}{end}").read_bytes())
    connection.close()


def killed(path: Path) -> None:
    """Make one of ours with one message in it, as its killed daemon leaves it."""
    connection = open_database(str(path.with_name("alive.db")))
    with connection:
        create_transaction(connection).mail.send(Draft("a", "b", "hello"), 1)
    leave_behind(connection, path)
    for file in path.parent.glob("alive.db*"):
        file.unlink()


def refusal(path: Path | str) -> str:
    """Return the sentence with which a file is refused; it must be left as it was."""
    file = Path(path) if "\0" not in str(path) else None
    before = file.read_bytes() if file and file.is_file() else None
    beside = sorted(file.parent.iterdir()) if file and file.parent.is_dir() else None
    with pytest.raises(StartupError) as caught:
        open_database(str(path))
    if file and before is not None:
        assert file.read_bytes() == before
    if file and beside is not None:
        assert sorted(file.parent.iterdir()) == beside
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


class TestOpen:
    def test_a_new_database_has_our_mark_and_the_newest_schema(self, scratch: Path) -> None:
        """Has our mark, the newest schema, a journal, full durability and foreign keys."""
        connection = open_database(str(scratch / "new.db"))
        assert connection.pragma("application_id") == APPLICATION_ID
        assert connection.pragma("user_version") == len(MIGRATIONS)
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2
        assert connection.pragma("foreign_keys") == 1
        connection.close()

    def test_opening_again_changes_nothing(self, scratch: Path) -> None:
        """Opening again changes nothing."""
        ours(scratch / "old.db")
        for _ in range(2):
            connection = open_database(str(scratch / "old.db"))
            assert create_transaction(connection).mail.peek("b").pending == 100
            assert connection.pragma("synchronous") == 2
            connection.close()

    def test_an_empty_file_becomes_a_database(self, scratch: Path) -> None:
        """Is as good as none."""
        (scratch / "empty.db").touch()
        open_database(str(scratch / "empty.db")).close()

    def test_mail_in_the_journal_of_a_killed_daemon_is_found(self, scratch: Path) -> None:
        """Mail that is in the journal only is found."""
        killed(scratch / "mailbox.db")
        connection = open_database(str(scratch / "mailbox.db"))
        assert create_transaction(connection).mail.peek("b").pending == 1
        connection.close()

    def test_a_journal_that_was_cut_off_yields_whole_commits(self, scratch: Path) -> None:
        """After a power cut all whole commits are there, and not one part of another."""
        connection = open_database(str(scratch / "mailbox.db"))
        for number in range(5):
            with connection:
                create_transaction(connection).mail.send(Draft("a", "b", str(number)), 1)
        journal = (scratch / "mailbox.db-wal").read_bytes()
        database = (scratch / "mailbox.db").read_bytes()
        connection.close()
        counts = []
        for size in range(0, len(journal), 1000):
            (scratch / "cut.db").write_bytes(database)
            (scratch / "cut.db-wal").write_bytes(journal[:size])
            cut = open_database(str(scratch / "cut.db"))
            assert cut.pragma("integrity_check") == "ok"
            counts.append(create_transaction(cut).mail.peek("b").pending)
            cut.close()
        assert counts == sorted(counts)
        assert set(counts) == {0, 1, 2, 3, 4} | {counts[-1]}

    def test_a_journal_is_flushed_before_anything_is_written(self, scratch: Path) -> None:
        """A flush of an earlier life may have failed: what it left out is written once more."""
        killed(scratch / "mailbox.db")
        before = (scratch / "mailbox.db").read_bytes()
        with watched_disk() as disk:
            disk.unsyncable = {"-wal"}
            with pytest.raises(StartupError, match=r"Cannot use the database .* a disk that works"):
                open_database(str(scratch / "mailbox.db"))
            disk.unsyncable = set()
            connection = open_database(str(scratch / "mailbox.db"))
            assert disk.syncs["-wal"] == 1
            assert disk.syncs["main"] == 0
            connection.close()
        assert (scratch / "mailbox.db").read_bytes() == before

    def test_a_new_database_says_whose_it_is_before_it_has_a_journal(self, scratch: Path) -> None:
        """So that it is told by its file alone from another program's."""
        connection = open_database(str(scratch / "mailbox.db"))
        assert (scratch / "mailbox.db").read_bytes()[68:72] == b"CMBX"
        connection.close()

    def test_one_that_says_so_in_its_journal_alone_is_ours(self, scratch: Path) -> None:
        """As older versions left it when they were killed at once."""
        killed(scratch / "mailbox.db")
        with (scratch / "mailbox.db").open("r+b") as file:
            file.seek(60)
            file.write(bytes(12))
        connection = open_database(str(scratch / "mailbox.db"))
        assert create_transaction(connection).mail.peek("b").pending == 1
        connection.close()

    @pytest.mark.skipif(sys.platform == "win32", reason="there permissions are not modes")
    def test_files_that_others_can_read_are_closed_to_them(self, scratch: Path) -> None:
        killed(scratch / "mailbox.db")
        for file in scratch.iterdir():
            file.chmod(0o644)
        connection = open_database(str(scratch / "mailbox.db"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in scratch.iterdir()}
        assert modes == dict.fromkeys(["mailbox.db", "mailbox.db-wal", "mailbox.db-shm"], 0o600)
        connection.close()


class TestRefuse:
    @pytest.mark.skipif(sys.platform == "win32", reason="there owners are not numbers")
    @pytest.mark.parametrize("end", ["", "-wal", "-shm", "-lock"])
    def test_files_of_another_user(self, scratch: Path, end: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        killed(scratch / "mailbox.db")
        (scratch / f"mailbox.db{end}").touch()
        os.chown(scratch / f"mailbox.db{end}", 12345, 12345)
        assert f"mailbox.db{end} belongs to another user" in refusal(scratch / "mailbox.db")

    @pytest.mark.parametrize("is_empty", [False, True])
    def test_a_journal_whose_database_is_gone(self, scratch: Path, is_empty: bool) -> None:
        """SQLite would delete it, and all mail with it."""
        killed(scratch / "mailbox.db")
        journal = (scratch / "mailbox.db-wal").read_bytes()
        (scratch / "mailbox.db").unlink()
        if is_empty:
            (scratch / "mailbox.db").touch()
        words = "empty" if is_empty else "missing"
        assert f"mailbox.db is {words}, but its journal" in refusal(scratch / "mailbox.db")
        assert (scratch / "mailbox.db-wal").read_bytes() == journal

    @pytest.mark.parametrize("is_new", [False, True])
    def test_the_journal_of_another_program(self, scratch: Path, is_new: bool) -> None:
        """It stays what it is, also when the database has nothing in it yet but that."""
        foreign(scratch / "recipes.db")
        user = apsw.Connection(str(scratch / ("new.db" if is_new else "recipes.db")))
        user.pragma("journal_mode", "wal")
        user.execute("CREATE TABLE cake (title TEXT)")
        leave_behind(user, scratch / "left.db")
        journal = (scratch / "left.db-wal").read_bytes()
        assert "is a database of another program" in refusal(scratch / "left.db")
        assert (scratch / "left.db-wal").read_bytes() == journal

    def test_one_that_cannot_be_written(self, scratch: Path) -> None:
        """Rather than to answer that it is healthy, and 503 to everything else."""
        ours(scratch / "mailbox.db")
        with watched_disk() as disk:
            disk.is_read_only = True
            assert "it cannot be written" in refusal(scratch / "mailbox.db")

    @pytest.mark.parametrize("make", [foreign, foreign_with_journal, foreign_and_empty])
    def test_another_programs_database(self, scratch: Path, make: Callable[[Path], None]) -> None:
        """It is never touched."""
        make(scratch / "recipes.db")
        assert re.search("recipes.db is a database of another", refusal(scratch / "recipes.db"))

    def test_one_that_another_program_has_open(self, scratch: Path) -> None:
        """Even while it is in use."""
        foreign_with_journal(scratch / "recipes.db")
        user = apsw.Connection(str(scratch / "recipes.db"))
        user.execute("INSERT INTO recipe VALUES ('cake')")
        assert "another program" in refusal(scratch / "recipes.db")
        user.close()

    def test_a_newer_versions_database(self, scratch: Path) -> None:
        """The sentence says to update."""
        newer(scratch / "newer.db")
        assert refusal(scratch / "newer.db").endswith("update claude-mailbox.")

    @pytest.mark.parametrize(
        "content", [b"hello", b"hello\n" * 1000, b"SQLite format 3\0", b"\0" * 9999]
    )
    def test_a_file_of_another_kind(self, scratch: Path, content: bytes) -> None:
        """A file of another kind is not overwritten."""
        (scratch / "notes.txt").write_bytes(content)
        assert "is not a SQLite database; nothing was changed" in refusal(scratch / "notes.txt")

    @pytest.mark.parametrize(
        "name", ["folder", "missing/x.db", "file/x.db", "nul\0.db", "half\udc80.db", ""]
    )
    def test_a_path_that_cannot_be_opened(self, scratch: Path, name: str) -> None:
        """A path that leads nowhere is told, whatever is wrong with it."""
        (scratch / "folder").mkdir()
        (scratch / "file").touch()
        assert refusal(f"{scratch}/{name}").startswith("Cannot use the database")

    @pytest.mark.parametrize("name", ["", ":memory:"])
    def test_a_database_in_memory(self, name: str) -> None:
        """Mail in memory would not survive anything."""
        assert "choose a local disk" in refusal(name)

    def test_a_truncated_file(self, scratch: Path) -> None:
        """Wherever it was cut off, it is refused and left for a repair."""
        ours(scratch / "whole.db")
        content = (scratch / "whole.db").read_bytes()
        for size in [*range(4096, len(content), 4096), 100, 5000, len(content) - 1]:
            (scratch / "cut.db").write_bytes(content[:size])
            assert re.search("damaged|not a SQLite database", refusal(scratch / "cut.db"))

    @pytest.mark.parametrize("version", [-1, 0])
    def test_an_impossible_schema_number(self, scratch: Path, version: int) -> None:
        """Tables and their number come in one commit: one without the other is damage."""
        ours(scratch / "mailbox.db")
        connection = apsw.Connection(str(scratch / "mailbox.db"))
        connection.pragma("user_version", version)
        connection.close()
        assert f"damaged (its schema number is {version})" in refusal(scratch / "mailbox.db")

    def test_a_scrambled_file_is_refused_or_works(self, scratch: Path) -> None:
        """Bytes gone wrong are told at the start, or are in nobody's way; never a traceback."""
        ours(scratch / "whole.db", 20)
        content = (scratch / "whole.db").read_bytes()
        dice = random.Random(1)
        refused = 0
        for _ in range(150):
            scrambled = bytearray(content)
            for _ in range(dice.choice([1, 5, 100])):
                # Every other one hits the header and the schema, where it hurts most.
                end = dice.choice([200, len(scrambled)])
                scrambled[dice.randrange(end)] = dice.randrange(256)
            file = scratch / "scrambled.db"
            file.write_bytes(scrambled)
            try:
                open_database(str(file)).close()
            except StartupError:
                refused += 1
                assert file.read_bytes() == scrambled
        assert refused > 20

    def test_a_database_that_is_locked_by_another_program(self, scratch: Path) -> None:
        """A program that holds it exclusively is waited for, and then told of."""
        ours(scratch / "mailbox.db")
        other = apsw.Connection(str(scratch / "mailbox.db"))
        other.pragma("journal_mode", "delete")
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in refusal(scratch / "mailbox.db")
        other.close()

    def test_a_full_disk(self, scratch: Path) -> None:
        """A new database that does not fit is told; what is there of it does not get in the way."""
        path = scratch / "new.db"
        with watched_disk() as disk:
            disk.failure = apsw.FullError
            with pytest.raises(StartupError, match="has free space"):
                open_database(str(path))
        open_database(str(path)).close()
