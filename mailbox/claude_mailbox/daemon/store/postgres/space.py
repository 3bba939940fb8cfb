"""Unused space, which PostgreSQL's autovacuum takes care of."""

from claude_mailbox.daemon.store.operations.space import SpaceStore


class PostgresSpace(SpaceStore):
    def vacuum(self) -> bool:
        return False
