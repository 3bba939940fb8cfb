-- AUTOINCREMENT: a number that was given out never comes back, which first in, first out needs.
-- Bodies are apart from what a claim and a settlement change, because SQLite writes whole rows: so
-- handing out a large message costs no more than a small one. The counts in `backlog` are kept by
-- triggers, so that a look at a mailbox costs the same with a million messages as with ten, and no
-- code path can forget them.

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER
) STRICT;

CREATE TABLE alias (
    name TEXT PRIMARY KEY,
    mailbox_id INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_mailbox ON alias (mailbox_id);

CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    lease_until INTEGER,
    delivered_at INTEGER
) STRICT;
CREATE INDEX message_waiting ON message (recipient_id, id) WHERE state = 0;
CREATE INDEX message_leased ON message (lease_until) WHERE state = 1;

CREATE TABLE body (
    message_id INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE backlog (
    recipient_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    waiting INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (recipient_id, sender_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX backlog_sender ON backlog (sender_id);

CREATE TRIGGER message_sent AFTER INSERT ON message BEGIN
    INSERT INTO backlog (recipient_id, sender_id, waiting)
    VALUES (new.recipient_id, new.sender_id, 1)
    ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;
CREATE TRIGGER message_moved AFTER UPDATE OF state ON message WHEN old.state <> new.state BEGIN
    UPDATE backlog SET
        waiting = waiting + (new.state = 0) - (old.state = 0),
        leased = leased + (new.state = 1) - (old.state = 1)
    WHERE recipient_id = new.recipient_id AND sender_id = new.sender_id;
END;

CREATE TABLE answer (
    sender_id INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    known INTEGER NOT NULL,
    last_seen_at INTEGER,
    watching INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    forwarded_from TEXT,
    PRIMARY KEY (sender_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_age ON answer (sent_at);

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    mailbox_id INTEGER REFERENCES mailbox (id) ON DELETE SET NULL,
    name TEXT,
    has_bell INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX session_mailbox ON session (mailbox_id);
CREATE INDEX session_listening ON session (id) WHERE ended_at IS NULL AND has_bell;
CREATE INDEX session_without ON session (seen_at) WHERE mailbox_id IS NULL;
-- A session that comes back finds its name again, though its empty mailbox was deleted.
CREATE TRIGGER mailbox_gone BEFORE DELETE ON mailbox BEGIN
    UPDATE session SET name = old.name, mailbox_id = NULL WHERE mailbox_id = old.id;
END;

CREATE TABLE client (
    key TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX client_session ON client (session_id);
