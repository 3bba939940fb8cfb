"""SQL of tokens."""

from collections.abc import Sequence
from typing import Any

import apsw

from claude_mailbox.daemon.store.operations.people import TokenStore
from claude_mailbox.model.tokens import Token

_COLUMNS = "id, digest, patterns, created_at, expires_at, last_used_at"


class SqliteTokens(TokenStore):
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        self._connection.execute(
            f"INSERT INTO token ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL)",
            # Names have no line breaks.
            (
                token.id,
                token.digest,
                "\n".join(token.patterns),
                token.created_at,
                token.expires_at,
            ),
        )

    def find(self, token_id: str) -> Token | None:
        found = self._connection.execute(
            f"SELECT {_COLUMNS} FROM token WHERE id = ?", (token_id,)
        ).get
        return None if found is None else _token(*found)

    def all(self) -> Sequence[Token]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM token ORDER BY created_at, id")
        return [_token(*row) for row in rows]

    def delete(self, token_id: str) -> bool:
        self._connection.execute("DELETE FROM token WHERE id = ?", (token_id,))
        return bool(self._connection.changes())

    def note_use(self, token_id: str, now: int) -> None:
        self._connection.execute("UPDATE token SET last_used_at = ? WHERE id = ?", (now, token_id))


def _token(token_id: str, digest: bytes, patterns: str, *times: Any) -> Token:
    return Token(token_id, digest, patterns.split("\n"), *times)
