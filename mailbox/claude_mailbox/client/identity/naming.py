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
    project = slug(os.environ.get(PREFIX_VARIABLE, "")) or (_place(cwd) if cwd else "")
    suffix = "".join(c for c in session_id.lower() if c.isascii() and c.isalnum())
    return f"{project or NO_PROJECT}-{suffix[:SUFFIX_LENGTH] or 'session'}"


def _place(cwd: str) -> str:
    """Return the name of the project, and after it that of the worktree, if it has another one."""
    project, folder = project_name(cwd), _folder_name(cwd)
    return folder if folder.startswith(project) else slug(f"{project} {folder}")


def _folder_name(cwd: str) -> str:
    """Return the name of the git top level above *cwd*, else of *cwd*, as a slug; maybe empty."""
    return slug(os.path.basename(git_top_level(cwd) or os.path.abspath(cwd)))


def project_name(cwd: str) -> str:
    """Return the name that all worktrees of a repository share, as a slug; maybe empty.

    It is that of the main worktree's folder, or of the bare repository. Outside of a repository it
    is the name of *cwd*.
    """
    top = git_top_level(cwd)
    common = _common_folder(top) if top is not None else None
    if common is None:
        return _folder_name(cwd)
    folder, name = os.path.split(common)
    return slug(os.path.basename(folder) if name == ".git" else name.removesuffix(".git"))


def _common_folder(top: str) -> str | None:
    """Return the git folder that a linked worktree shares with others; None for anything else."""
    try:
        with open(os.path.join(top, ".git"), encoding="utf-8", errors="surrogateescape") as file:
            gitdir = os.path.join(top, file.read().removeprefix("gitdir:").strip())
        with open(
            os.path.join(gitdir, "commondir"), encoding="utf-8", errors="surrogateescape"
        ) as file:
            return os.path.normpath(os.path.join(gitdir, file.read().strip()))
    except (OSError, ValueError):
        return None  # a folder of its own, as that of a submodule or of the main worktree


def git_top_level(cwd: str) -> str | None:
    """Return the top folder of the git repository or worktree that has *cwd*, or None."""
    folder = os.path.abspath(cwd)
    while not _is_top_level(folder):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


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
