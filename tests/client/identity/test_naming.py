"""The mailbox name of a session."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.client.identity import naming
from claude_mailbox.model.names import check_name

SESSION = "A3F91B2C-1111-4222-8333-444455556666"


@pytest.fixture(autouse=True)
def _without_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variable of a session that may run these tests."""
    monkeypatch.delenv(naming.PREFIX_VARIABLE, raising=False)


def repository(folder: Path) -> Path:
    """Make a git repository without git."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


class TestMailboxName:
    def test_in_a_repository_has_the_name_of_its_top_folder(self, tmp_path: Path) -> None:
        """In any folder of the repository, as a slug, followed by 8 characters of the session id."""
        deep = repository(tmp_path / "My Shop") / "src" / "deep"
        deep.mkdir(parents=True)
        assert naming.mailbox_name(SESSION, str(deep)) == "my-shop-a3f91b2c"

    def test_outside_of_a_repository_has_the_name_of_the_folder(self, tmp_path: Path) -> None:
        """An empty `.git` folder is no repository."""
        (tmp_path / ".git").mkdir()
        folder = tmp_path / "notes"
        folder.mkdir()
        assert naming.mailbox_name(SESSION, str(folder)) == "notes-a3f91b2c"

    def test_worktrees_of_one_repository_have_different_names(self, tmp_path: Path) -> None:
        """Sessions in parallel worktrees of one repository have different names."""
        worktree = repository(tmp_path / "shop") / "trees" / "login"
        worktree.mkdir(parents=True)
        (worktree / ".git").write_text("gitdir: ../../.git/worktrees/login\n")
        assert naming.mailbox_name(SESSION, str(worktree)) == "login-a3f91b2c"

    @pytest.mark.parametrize("cwd", [None, "", "/"])
    def test_without_a_folder_starts_with_claude(self, cwd: str | None) -> None:
        """The root folder has no name either."""
        assert naming.mailbox_name(SESSION, cwd) == "claude-a3f91b2c"

    def test_prefix_variable_replaces_the_project(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It becomes a slug, too."""
        monkeypatch.setenv(naming.PREFIX_VARIABLE, "Back End!")
        assert naming.mailbox_name(SESSION, "/somewhere") == "back-end-a3f91b2c"

    @pytest.mark.parametrize(
        ("session_id", "suffix"),
        [("session_01ABCxyz99", "session0"), ("x-1", "x1"), ("---", "session")],
    )
    def test_session_ids_need_not_be_hex(self, session_id: str, suffix: str) -> None:
        """The suffix has the first eight letters or digits, as far as there are any."""
        assert naming.mailbox_name(session_id, None) == f"claude-{suffix}"

    def test_top_level_is_the_one_that_git_finds(self, tmp_path: Path) -> None:
        """In a repository and in a worktree, without running git."""
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
            found = naming.git_top_level(str(inner))
            assert found is not None
            assert os.path.realpath(found) == told


class TestSlug:
    @given(st.text(max_size=100))
    def test_a_slug_of_any_text_is_valid_in_a_name(self, text: str) -> None:
        """At most 40 letters, digits and single dashes inside; the slug of a slug is the same."""
        slug = naming.slug(text)
        assert len(slug) <= naming.PROJECT_LIMIT
        assert not re.search(r"--|^-|-$", slug)
        assert all(character.isalnum() or character == "-" for character in slug)
        assert naming.slug(slug) == slug
        if slug:
            assert check_name(slug) == slug

    @pytest.mark.parametrize(
        ("text", "slug"),
        [
            ("claude.mailbox", "claude-mailbox"),
            ("__Big   Shop__", "big-shop"),
            ("x" * 50, "x" * 40),
            ("y" * 39 + " z", "y" * 39),
            ("Bu\u0308cher", "b\u00fccher"),
            ("...", ""),
        ],
    )
    def test_examples(self, text: str, slug: str) -> None:
        """Separators become dashes, accents stay, the end is cut."""
        assert naming.slug(text) == slug


def git(folder: Path, *arguments: str) -> None:
    """Run git in *folder*, as somebody."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def committed(folder: Path) -> Path:
    """Make a git repository with a commit."""
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_a_session_in_a_worktree_is_named_after_its_repository_first(tmp_path: Path) -> None:
    """Once, if the worktree's name begins with that of the repository."""
    main = committed(tmp_path / "Shop")
    for name in ("fix-cart", "shop-two"):
        git(main, "worktree", "add", "-q", str(tmp_path / name))

    assert naming.mailbox_name(SESSION, str(main)) == "shop-a3f91b2c"
    assert naming.mailbox_name(SESSION, str(tmp_path / "fix-cart")) == "shop-fix-cart-a3f91b2c"
    assert naming.mailbox_name(SESSION, str(tmp_path / "shop-two")) == "shop-two-a3f91b2c"


class TestProjectName:
    def test_all_worktrees_of_a_repository_share_it(self, tmp_path: Path) -> None:
        """Wherever they lie, and in any of their folders."""
        main = committed(tmp_path / "My Shop")
        git(main, "worktree", "add", "-q", str(tmp_path / "elsewhere" / "login"))
        git(main, "worktree", "add", "-q", str(main / "trees" / "logout"))
        deep = tmp_path / "elsewhere" / "login" / "src"
        deep.mkdir()
        names = {
            naming.project_name(str(each))
            for each in (main, main / "trees", main / "trees" / "logout", deep)
        }
        assert names == {"my-shop"}

    def test_worktrees_of_a_bare_repository_share_it(self, tmp_path: Path) -> None:
        bare = tmp_path / "shop.git"
        git(tmp_path, "clone", "-q", "--bare", str(committed(tmp_path / "first")), str(bare))
        git(bare, "worktree", "add", "-q", str(tmp_path / "login"))
        assert naming.project_name(str(tmp_path / "login")) == "shop"

    def test_a_submodule_is_a_project_of_its_own(self, tmp_path: Path) -> None:
        submodule = repository(tmp_path / "shop") / "vendor" / "lib"
        submodule.mkdir(parents=True)
        (tmp_path / "shop" / ".git" / "modules" / "lib").mkdir(parents=True)
        (submodule / ".git").write_text("gitdir: ../../.git/modules/lib\n")
        assert naming.project_name(str(submodule)) == "lib"

    def test_outside_of_a_repository(self, tmp_path: Path) -> None:
        """It is the name of the folder."""
        (tmp_path / "notes").mkdir()
        assert naming.project_name(str(tmp_path / "notes")) == "notes"
