"""Starts that must fail: one clear sentence, exit code 1, and nothing changed."""

import contextlib
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import httpx
import pytest

from daemon.store.sqlite.test_schema import foreign, newer, ours
from support.daemon import PATIENCE_SECONDS, DaemonProcess
from support.small_disk import fill, read_only, small_disk

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and signals")


@pytest.fixture
def stopped() -> Iterator[DaemonProcess]:
    """A daemon that does not run yet."""
    process = DaemonProcess()
    yield process
    process.close()


def refusal(process: DaemonProcess) -> str:
    """Start a daemon that must not start; return its sentence."""
    before = process.log()
    child = process.spawn()
    assert child.wait(PATIENCE_SECONDS) == 1
    assert child.stdout is not None
    assert child.stdout.read() == ""
    sentences = process.log()[len(before) :].strip().splitlines()
    assert len(sentences) == 1
    assert sentences[0].endswith(".")
    return sentences[0].removeprefix("Error: ")


def send(process: DaemonProcess, body: str = "hello") -> httpx.Response:
    """Send a message."""
    return httpx.post(
        f"{process.url}/v1/send",
        headers={"X-Mailbox": "a"},
        json={"to": "b", "body": body},
        timeout=PATIENCE_SECONDS,
    )


def bodies(process: DaemonProcess) -> list[str]:
    """Take all mail of 'b'."""
    found: list[str] = []
    while messages := httpx.post(
        f"{process.url}/v1/check-inbox?name=b", headers={"X-Mailbox": "b"}, timeout=None
    ).json():
        found += [message["body"] for message in messages]
    return found


class TestDatabase:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (foreign, "another program"),
            (newer, "newer claude-mailbox"),
            (lambda path: path.write_bytes(b"to do: soup\n" * 99), "not a SQLite database"),
            (lambda path: cut(path, 0.5), "damaged"),
            (lambda path: path.mkdir(), "Cannot use the database"),
        ],
        ids=["foreign", "newer", "text", "truncated", "folder"],
    )
    def test_a_foreign_or_damaged_database_is_refused(
        self, stopped: DaemonProcess, make: Callable[[Path], object], words: str
    ) -> None:
        """It is left as it was; with the file gone, the daemon starts."""
        path = stopped.database
        make(path)
        before = path.read_bytes() if path.is_file() else None
        sentence = refusal(stopped)
        assert words in sentence
        assert str(path) in sentence
        assert before is None or path.read_bytes() == before
        path.rename(path.with_suffix(".away"))
        stopped.start()
        assert stopped.stop() == 0

    def test_a_database_elsewhere_is_used(self, stopped: DaemonProcess) -> None:
        """A database elsewhere is told by its name."""
        stopped.settings["dbPath"] = str(stopped.home / "missing" / "mail.db")
        assert "missing/mail.db" in refusal(stopped)

    @pytest.mark.skipif(sys.platform == "win32", reason="there permissions are not modes")
    def test_a_database_elsewhere_is_closed_to_others(self, stopped: DaemonProcess) -> None:
        """All mail ever sent is in there, and the folder may be open to all."""
        stopped.home.chmod(0o755)
        (stopped.home / "open").mkdir(mode=0o755)
        stopped.settings["dbPath"] = str(stopped.home / "open" / "mail.db")
        stopped.start()
        files = list((stopped.home / "open").iterdir())
        assert {file.name for file in files} >= {"mail.db", "mail.db-wal"}
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert stopped.stop() == 0

    def test_the_database_of_another_daemon_is_refused(self, stopped: DaemonProcess) -> None:
        """It names that one, whose leases stay as they are."""
        with DaemonProcess() as other, followed(other):
            stopped.settings["dbPath"] = str(other.database)
            assert f"Another claude-mailbox daemon (pid {other.pid}) uses" in refusal(stopped)
            assert leased(other.database) == 1
        # When it has gone the database is free.
        stopped.settings.pop("dbPath")
        stopped.start()
        assert stopped.stop() == 0

    def test_a_hard_link_to_the_database_of_another_daemon_is_refused(
        self, stopped: DaemonProcess, scratch: Path
    ) -> None:
        """Its journal and its lock have the other name."""
        link = scratch / "link.db"
        with DaemonProcess(settings={"dbPath": str(scratch / "mail.db")}) as other:
            assert send(other).status_code == 200
            os.link(other.database, link)
            stopped.settings["dbPath"] = str(link)
            assert "hard link" in refusal(stopped)
            assert not Path(f"{link}-lock").exists()
            assert bodies(other) == ["hello"]
        link.unlink()

    def test_a_start_that_fails_changes_nothing(self, stopped: DaemonProcess) -> None:
        """Not even what a daemon that starts puts in order, such as leases of its former life."""
        stopped.start()
        with followed(stopped):
            stopped.kill()
        assert leased(stopped.database) == 1
        files = [stopped.database, Path(f"{stopped.database}-wal")]
        secret, away = stopped.home / "secret", stopped.home / "away"
        secret.rename(away)
        secret.mkdir()
        assert "secret" in refusal(stopped)
        assert leased(stopped.database) == 1
        secret.rmdir()
        away.rename(secret)
        before = [file.read_bytes() for file in files]
        place = stopped.home / "mailbox.sock"
        place.unlink(missing_ok=True)
        place.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as other:
            stopped.settings["port"] = other.getsockname()[1]
            assert stopped.spawn().wait(PATIENCE_SECONDS) == 1
        assert "is taken" in stopped.log()
        place.rmdir()
        assert [file.read_bytes() for file in files] == before
        stopped.settings["port"] = 0
        stopped.start()
        assert leased(stopped.database) == 0
        assert bodies(stopped) == ["hello"]

    def test_a_read_only_database_is_refused(self, stopped: DaemonProcess) -> None:
        """Rather than to be healthy and to refuse all mail."""
        folder = stopped.home / "fixed"
        folder.mkdir()
        with small_disk(folder, 2_000_000):
            ours(folder / "mail.db", 3)
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            stopped.settings["dbPath"] = str(folder / "mail.db")
            assert "can be written by you" in refusal(stopped)

    def test_a_journal_without_its_database_is_refused(self, stopped: DaemonProcess) -> None:
        """Nothing starts on the journal alone; with the database back all mail is there."""
        stopped.start()
        assert send(stopped).status_code == 200
        stopped.kill()
        away = stopped.database.with_suffix(".away")
        stopped.database.rename(away)
        assert "is missing, but its journal" in refusal(stopped)
        stopped.database.touch()
        assert "is empty, but its journal" in refusal(stopped)
        away.replace(stopped.database)
        stopped.start()
        assert bodies(stopped) == ["hello"]

    def test_an_impossible_path_is_refused(self, stopped: DaemonProcess) -> None:
        """A path that no file can have is no traceback."""
        stopped.settings["dbPath"] = "nul\0.db"
        assert refusal(stopped).startswith("Cannot use the database")


@contextlib.contextmanager
def followed(process: DaemonProcess) -> Iterator[None]:
    """Hold a lease that is bound to its connection, on one message."""
    assert send(process).status_code == 200
    with (
        httpx.Client(base_url=process.url, timeout=PATIENCE_SECONDS) as client,
        client.stream("GET", "/v1/follow?name=b", headers={"X-Mailbox": "b"}) as stream,
    ):
        lines = stream.iter_lines()  # whose end would close the stream
        assert "hello" in next(lines)
        yield


def leased(database: Path) -> int:
    """Count the leased messages."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    count: int = connection.execute("SELECT count(*) FROM message WHERE state = 1").get
    connection.close()
    return count


def cut(path: Path, part: float) -> None:
    """Make a database of ours and cut it off."""
    ours(path)
    os.truncate(path, int(path.stat().st_size * part) // 4096 * 4096)


class TestHome:
    def test_a_home_below_a_file_is_refused(self, stopped: DaemonProcess) -> None:
        """There can be no folder."""
        (stopped.home / "file").touch()
        process = DaemonProcess(
            environment={"CLAUDE_MAILBOX_HOME": str(stopped.home / "file" / "home")}
        )
        assert "Cannot make the home folder" in refusal(process)
        process.close()

    def test_a_file_as_home_is_refused(self, stopped: DaemonProcess) -> None:
        """A file is no home."""
        (stopped.home / "file").touch()
        process = DaemonProcess(environment={"CLAUDE_MAILBOX_HOME": str(stopped.home / "file")})
        assert "CLAUDE_MAILBOX_HOME" in refusal(process)
        process.close()

    def test_the_home_is_closed_to_others(self, stopped: DaemonProcess) -> None:
        """A new home, and one that was open to all, are closed to others."""
        home = stopped.home / "some" / "where"
        process = DaemonProcess(environment={"CLAUDE_MAILBOX_HOME": str(home)})
        (process.home / "mailbox.json").write_text('{"port": 0}')
        home.mkdir(parents=True, mode=0o755)
        (home / "mailbox.json").write_text('{"port": 0}')
        child = process.spawn()
        assert child.stdout is not None
        assert child.stdout.readline()
        assert home.stat().st_mode & 0o777 == 0o700
        assert (home / "mailbox.sock").stat().st_mode & 0o777 == 0o600
        process.close()

    def test_a_read_only_home_is_refused(self, stopped: DaemonProcess) -> None:
        """Nothing can be written there, so nothing can be promised."""
        with read_only(stopped.home):
            process = DaemonProcess(environment={"CLAUDE_MAILBOX_HOME": str(stopped.home)})
            assert re.search("home folder .*permissions", refusal(process))
            process.close()

    def test_a_second_daemon_names_the_first(self, stopped: DaemonProcess) -> None:
        """It names the first one, which does not even notice."""
        stopped.start()
        second = DaemonProcess(environment={"CLAUDE_MAILBOX_HOME": str(stopped.home)})
        sentence = refusal(second)
        assert (
            f"Another claude-mailbox daemon (pid {stopped.pid}) runs in {stopped.home}" in sentence
        )
        second.close()
        assert send(stopped).status_code == 200
        with httpx.Client(transport=httpx.HTTPTransport(uds=stopped.socket_path)) as client:
            assert client.get("http://localhost/health").json()["pid"] == stopped.pid

    def test_the_lock_of_a_killed_daemon_is_no_obstacle(self, stopped: DaemonProcess) -> None:
        """It is no obstacle, and its socket is none either."""
        stopped.start()
        stopped.kill()
        assert (stopped.home / "mailbox.lock").read_text()
        assert (stopped.home / "mailbox.sock").exists()
        stopped.start()
        assert send(stopped).status_code == 200


class TestPort:
    """A port that is taken keeps no daemon from starting: see the tests of machines."""

    def test_an_address_of_another_machine_is_refused(self, stopped: DaemonProcess) -> None:
        """The sentence names the flag."""
        for address in ("192.0.2.1", "nul\0"):
            stopped.settings["bind"] = address
            assert "--bind" in refusal(stopped)

    def test_the_port_of_a_killed_daemon_can_be_used_at_once(self, stopped: DaemonProcess) -> None:
        """A port whose daemon was killed a moment ago can be had at once."""
        stopped.start()
        held = httpx.Client(base_url=stopped.url)
        held.get("/health")
        stopped.restart(same_port=True)
        assert httpx.get(f"{stopped.url}/health").status_code == 200
        held.close()


class TestConfiguration:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"prot": 1}, "Unknown key 'prot'"),
            ({"port": "1"}, "'port' .* whole number"),
            ({"port": 70000}, "'port' .* from 0 to 65535"),
        ],
    )
    def test_a_mistake_names_the_key(
        self, stopped: DaemonProcess, settings: dict[str, object], words: str
    ) -> None:
        """The sentence names the key."""
        stopped.settings.update(settings)
        assert re.search(words, refusal(stopped))


class TestFullDisk:
    def test_a_full_home_folder_is_refused_before_the_database_changes(
        self, stopped: DaemonProcess, scratch: Path
    ) -> None:
        """The database lies elsewhere, and its leases stay as they are."""
        stopped.settings["dbPath"] = str(scratch / "mailbox.db")
        with small_disk(stopped.home, 300_000):
            stopped.start()
            with followed(stopped):
                stopped.kill()
            (stopped.home / "mailbox.lock").write_text("")
            fill(stopped.home)
            sentence = refusal(stopped)
            assert str(stopped.home) in sentence
            assert "free space" in sentence
            assert leased(stopped.database) == 1
            (stopped.home / "ballast").unlink()
            stopped.start()
            assert leased(stopped.database) == 0
            assert stopped.stop() == 0

    def test_a_disk_that_fills_up_loses_nothing(self, stopped: DaemonProcess) -> None:
        """A send that does not fit is a 503 with a reason; nothing that was answered is lost."""
        with small_disk(stopped.home, 4_000_000):
            ballast = stopped.home / "ballast"
            ballast.write_bytes(b"x" * 3_200_000)
            stopped.start()
            sent = []
            while (answer := send(stopped, f"{len(sent)} " + "x" * 20_000)).status_code == 200:
                sent.append(f"{len(sent)} " + "x" * 20_000)
            assert answer.status_code == 503
            assert answer.json()["reason"] == "unavailable"
            assert "disk is full" in answer.json()["error"]
            assert "Retry-After" in answer.headers
            assert httpx.get(f"{stopped.url}/health").status_code == 200
            ballast.unlink()
            assert send(stopped, "after").status_code == 200
            assert bodies(stopped) == [*sent, "after"]
            assert stopped.stop() == 0

    def test_a_full_disk_at_the_start_is_refused(self, stopped: DaemonProcess) -> None:
        """It says so, and does not begin."""
        with small_disk(stopped.home, 600_000):
            (stopped.home / "mailbox.json").write_text("x" * 200)
            fill(stopped.home)
            assert "free space" in refusal(stopped)
            (stopped.home / "ballast").unlink()
            stopped.start()
            assert stopped.stop() == 0

    @pytest.mark.skipif(sys.platform != "linux", reason="changes the limit of another process")
    def test_a_limit_on_file_sizes_loses_nothing(self, stopped: DaemonProcess) -> None:
        """A disk that refuses in another way is survived as well."""
        stopped.start()
        assert send(stopped).status_code == 200
        resource.prlimit(stopped.pid, resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
        while (answer := send(stopped, "x" * 5000)).status_code == 200:
            pass
        assert answer.status_code == 503
        assert "disk cannot be read or written" in answer.json()["error"]
        free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(stopped.pid, resource.RLIMIT_FSIZE, free)
        assert send(stopped, "after").status_code == 200
        found = bodies(stopped)
        assert (found[0], found[-1]) == ("hello", "after")
        connection = apsw.Connection(str(stopped.database), flags=apsw.SQLITE_OPEN_READONLY)
        assert connection.pragma("integrity_check") == "ok"
        connection.close()
