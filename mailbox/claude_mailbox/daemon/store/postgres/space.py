"""Space that nothing uses any more: PostgreSQL's autovacuum sees to it."""

from claude_mailbox.daemon.store.operations.space import SpaceStore


class PostgresSpace(SpaceStore):
    def vacuum(self) -> bool:
        return False
