"""What a session is called, and how its process is told from others."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.hooks import identity
from claude_mailbox.model import check_name

SESSION = "A3F91B2C-1111-4222-8333-444455556666"


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the session of Claude Code that may run these tests."""
    for name in ("CLAUDE_PID", "CLAUDE_CODE_MESSAGING_SOCKET", identity.PREFIX_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def repository(folder: Path) -> Path:
    """Make a git repository without git."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


class TestName:
    def test_is_the_project_and_the_session(self, tmp_path: Path) -> None:
        """Anywhere in a repository it is named after its top folder."""
        deep = repository(tmp_path / "My Shop") / "src" / "deep"
        deep.mkdir(parents=True)
        assert identity.mailbox_name(SESSION, str(deep)) == "my-shop-a3f91b2c"

    def test_outside_a_repository_is_the_folder(self, tmp_path: Path) -> None:
        """An empty `.git` folder makes no repository."""
        (tmp_path / ".git").mkdir()
        folder = tmp_path / "notes"
        folder.mkdir()
        assert identity.mailbox_name(SESSION, str(folder)) == "notes-a3f91b2c"

    def test_in_a_worktree_is_the_worktree(self, tmp_path: Path) -> None:
        """Parallel worktrees of one repository are what sessions are told apart by."""
        worktree = repository(tmp_path / "shop") / "trees" / "login"
        worktree.mkdir(parents=True)
        (worktree / ".git").write_text("gitdir: ../../.git/worktrees/login\n")
        assert identity.mailbox_name(SESSION, str(worktree)) == "login-a3f91b2c"

    @pytest.mark.parametrize("cwd", [None, "", "/"])
    def test_without_a_folder_is_anonymous(self, cwd: str | None) -> None:
        """There is always a name."""
        assert identity.mailbox_name(SESSION, cwd) == "claude-a3f91b2c"

    def test_can_be_given_a_prefix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which is made plain like any other."""
        monkeypatch.setenv(identity.PREFIX_VARIABLE, "Back End!")
        assert identity.mailbox_name(SESSION, "/somewhere") == "back-end-a3f91b2c"

    @pytest.mark.parametrize(
        ("session_id", "suffix"),
        [("session_01ABCxyz99", "session0"), ("x-1", "x1"), ("---", "session")],
    )
    def test_takes_ids_that_are_not_hex(self, session_id: str, suffix: str) -> None:
        """The first eight letters or digits, as far as there are any."""
        assert identity.mailbox_name(session_id, None) == f"claude-{suffix}"

    def test_agrees_with_git(self, tmp_path: Path) -> None:
        """What git calls the top level is what we find without it."""
        shop = tmp_path / "shop"
        quiet = {"check": True, "capture_output": True}
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run([*git, "init", str(shop)], **quiet)
        subprocess.run([*git, "-C", str(shop), "commit", "--allow-empty", "-m", "x"], **quiet)
        subprocess.run([*git, "-C", str(shop), "worktree", "add", str(tmp_path / "tree")], **quiet)
        for folder in (shop, tmp_path / "tree"):
            inner = folder / "inner"
            inner.mkdir()
            command = ["git", "-C", str(inner), "rev-parse", "--show-toplevel"]
            told = subprocess.run(command, **quiet, text=True).stdout.strip()
            found = identity.top_level(str(inner))
            assert found is not None
            assert os.path.realpath(found) == told


class TestPlain:
    @given(st.text(max_size=100))
    def test_is_a_part_of_a_valid_name(self, text: str) -> None:
        """Whatever a folder is called: lower case, single dashes inside, 40 characters, stable."""
        plain = identity.plain(text)
        assert len(plain) <= identity.PROJECT_LIMIT
        assert not re.search(r"--|^-|-$", plain)
        assert all(character.isalnum() or character == "-" for character in plain)
        assert identity.plain(plain) == plain
        if plain:
            assert check_name(plain) == plain

    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            ("claude.mailbox", "claude-mailbox"),
            ("__Big   Shop__", "big-shop"),
            ("x" * 50, "x" * 40),
            ("y" * 39 + " z", "y" * 39),
            ("Bu\u0308cher", "b\u00fccher"),
            ("...", ""),
        ],
    )
    def test_of(self, text: str, plain: str) -> None:
        """Some that people have."""
        assert identity.plain(text) == plain


class TestClientKey:
    def test_is_the_same_by_both_ways(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hook knows the process, the tools' helper knows its socket; both mean one client."""
        pid = str(os.getpid())
        monkeypatch.setenv("CLAUDE_PID", pid)
        by_hook = identity.client_key()
        monkeypatch.delenv("CLAUDE_PID")
        monkeypatch.setenv("CLAUDE_CODE_MESSAGING_SOCKET", f"/tmp/cc-socks/{pid}.sock")
        assert identity.client_key() == by_hook
        assert by_hook is not None
        assert by_hook.partition("-")[0] == pid

    @pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
    def test_tells_processes_with_the_same_id_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has the time at which the process started, which the daemon can look up, too."""
        from claude_mailbox.daemon.delivery.processes import is_alive

        monkeypatch.setenv("CLAUDE_PID", str(os.getpid()))
        key = identity.client_key()
        assert key is not None
        assert is_alive(key)
        assert not is_alive(f"{os.getpid()}-1")

    @pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
    def test_is_found_among_the_ancestors(self) -> None:
        """Through a shell or not, the first ancestor that is no shell."""
        program = "from claude_mailbox.client.hooks import identity; print(identity.client_key())"
        environment = {**os.environ, "PYTHONPATH": str(Path(identity.__file__).parents[3])}
        direct = [sys.executable, "-c", program]
        shell = ["sh", "-c", '"$@"; true', "sh", *direct]
        for command in (direct, shell):
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.stdout.partition("-")[0].strip() == str(os.getpid()), done.stderr

    def test_of_nonsense_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No header is better than a wrong one."""
        monkeypatch.setenv("CLAUDE_PID", "not a number")
        assert identity.client_key() is None


class TestAlive:
    @pytest.mark.parametrize("key", ["", "x", "-5", "1e3", "99999999999", "999999999", "٣"])
    def test_is_not_what_is_no_process(self, key: str) -> None:
        """Any string may come over the wire."""
        from claude_mailbox.daemon.delivery.processes import is_alive

        assert not is_alive(key)

    def test_is_a_process_that_runs(self) -> None:
        """This one, and one that is not ours."""
        from claude_mailbox.daemon.delivery.processes import is_alive

        assert is_alive(str(os.getpid()))
        assert is_alive("1")

    def test_is_not_a_process_that_ended(self) -> None:
        """Once it was waited for."""
        from claude_mailbox.daemon.delivery.processes import is_alive

        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            child.wait()
        assert not is_alive(str(child.pid))
