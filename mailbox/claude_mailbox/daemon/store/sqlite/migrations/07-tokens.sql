-- Tokens of clients on other machines; patterns are lines.

CREATE TABLE token (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    patterns TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
