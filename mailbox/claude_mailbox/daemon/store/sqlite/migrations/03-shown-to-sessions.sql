-- By which way a message was delivered, what its session is doing, and what a session was shown of
-- which there is no proof yet that its model has it. `turn` counts the prompts of a session.

ALTER TABLE message ADD COLUMN delivered_by TEXT;

ALTER TABLE session ADD COLUMN state TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE session ADD COLUMN state_since INTEGER;
ALTER TABLE session ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN transcript TEXT;
ALTER TABLE session ADD COLUMN cwd TEXT;
ALTER TABLE session ADD COLUMN project TEXT;

CREATE TABLE shown (
    message_id INTEGER NOT NULL,
    nonce TEXT NOT NULL,
    session_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    turn INTEGER NOT NULL,
    shown_at INTEGER NOT NULL,
    transcript TEXT NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (message_id, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX shown_session ON shown (session_id);
