"""Checks that something can be stored on the file system of a folder."""

import os
import shutil

_FREE_BYTES = 64 * 1024 * 1024


def disk_problem(folder: str) -> tuple[str, str] | None:
    """Return the problem with the file system and what to do about it, or None.

    Args:
        folder: one that exists.
    """
    if hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "is on a file system that is read-only", "mount it for writing, or use another one"
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES:
        detail = f"has only {free // 1024 // 1024} MB left on its disk"
        return detail, "free some space: without it no mail can be stored"
    return None
