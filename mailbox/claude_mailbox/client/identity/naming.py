"""The mailbox name of a session: ``<project>-<8 hex>``.

Nothing here runs a program: a hook has no time for ``git``.
"""

import os

PREFIX_VARIABLE = "CLAUDE_MAILBOX_PREFIX"
NO_PROJECT = "claude"
PROJECT_LIMIT = 40
SUFFIX_LENGTH = 8


def mailbox_name(session_id: str, cwd: str | None) -> str:
    """Return the name for a session in the folder *cwd*.

    ``CLAUDE_MAILBOX_PREFIX`` takes the place of the project's name.
    """
    project = slug(os.environ.get(PREFIX_VARIABLE, "")) or (project_name(cwd) if cwd else "")
    suffix = "".join(c for c in session_id.lower() if c.isascii() and c.isalnum())
    return f"{project or NO_PROJECT}-{suffix[:SUFFIX_LENGTH] or 'session'}"


def project_name(cwd: str) -> str:
    """Return the name of the git top level above *cwd*, else of *cwd*, as a slug; maybe empty.

    For a worktree it is the name of the repository, then that of the worktree.
    """
    top = git_top_level(cwd) or os.path.abspath(cwd)
    own, repository = slug(os.path.basename(top)), slug(_repository_of_worktree(top))
    return own if own.startswith(repository) else slug(f"{repository} {own}")


def git_top_level(cwd: str) -> str | None:
    """Return the top folder of the git repository or worktree that has *cwd*, or None."""
    folder = os.path.abspath(cwd)
    while not _is_top_level(folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


def _repository_of_worktree(top: str) -> str:
    """Return the name of the repository that a worktree belongs to; empty if it is none."""
    try:
        # A worktree has a file: "gitdir: /path/repository/.git/worktrees/name".
        with open(os.path.join(top, ".git"), encoding="utf-8") as file:
            target = file.read(4096).strip().removeprefix("gitdir:").strip()
    except (OSError, ValueError):
        return ""
    repository, separator, _ = target.replace("\\", "/").rpartition("/.git/worktrees/")
    if not separator:
        return ""
    return os.path.basename(os.path.normpath(os.path.join(top, repository)))


def slug(text: str) -> str:
    """Return at most 40 letters and digits of *text*, lower case, with single dashes between."""
    if not text.isascii():
        # File systems such as that of macOS store an accent apart from its letter.
        from unicodedata import normalize

        text = normalize("NFC", text)
    kept = "".join(c if c.isalnum() else " " for c in text.lower())
    return "-".join(kept.split())[:PROJECT_LIMIT].strip("-")


def _is_top_level(folder: str) -> bool:
    """Return whether *folder* has a ``.git`` that git accepts.

    Worktrees and submodules have a ``.git`` file; git ignores an empty ``.git`` folder.
    """
    git = os.path.join(folder, ".git")
    return os.path.isfile(git) or os.path.exists(os.path.join(git, "HEAD"))
