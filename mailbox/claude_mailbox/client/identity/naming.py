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
    """Return the name of the git top level above *cwd*, else of *cwd*, as a slug; maybe empty."""
    return slug(os.path.basename(git_top_level(cwd) or os.path.abspath(cwd)))


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
