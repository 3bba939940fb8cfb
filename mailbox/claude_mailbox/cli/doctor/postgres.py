"""Checks a PostgreSQL database while no daemon does, without changing it."""


def postgres_problem(url: str) -> tuple[str, str, str] | None:
    """Return the database as it may be shown, its problem and what to do about it, or None."""
    try:
        from claude_mailbox.daemon.store.postgres import database
    except ImportError as error:
        remedy = "install claude-mailbox[postgres], with its extra"
        return "PostgreSQL", f"needs psycopg ({error})", remedy
    problem = database.problem(url)
    return None if problem is None else (database.shown(url), *problem)
