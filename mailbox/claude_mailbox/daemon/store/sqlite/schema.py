"""Tables and their ordered migrations. No trio.

States of a message::

    send            claim              settle
    -----> WAITING --------> LEASED --------> DELIVERED
      |     ^ | ^              |
      |     | | +--------------+
      |     | |  release, expiry, restart of the daemon (connection-bound leases only)
      |     | |
      |     | +---> EXPIRED   not delivered within its time to live
      |     | +---> PARKED    handed out too often: waits again when retried, DELETED when dropped
      |     |
      +-> DELAYED   until its time has come
      +-> HELD      until it is given free

A lease with ``lease_until`` is explicit; without it, it is bound to the connection that the
message leaves by, and cannot survive the daemon.
"""

import unicodedata
from hashlib import sha256
from typing import Any

import apsw

# "CMBX": what tells our file from another program's.
APPLICATION_ID = 0x434D4258

WAITING = 0
LEASED = 1
DELIVERED = 2
DELAYED = 3
HELD = 4
EXPIRED = 5
PARKED = 6
DELETED = 7

# Up to which message all are in `correspondence`.
NOTED = "SELECT message_id FROM correspondence_end"

# AUTOINCREMENT: a number that was given out never comes back, which first in, first out needs.
# Bodies are apart from what a claim and a settlement change, because SQLite writes whole rows: so
# handing out a large message costs no more than a small one.
# The counts in `backlog` are kept by triggers, so that a look at a mailbox costs the same with a
# million messages as with ten, and no code path can forget them.
_FIRST = """
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
"""

# Keys of sends, by the sender's name. With them goes what was answered, and a digest of the text.
_KEYS_BY_NAME = """
CREATE TABLE idempotency_key (
    sender TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    message_id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    known INTEGER NOT NULL,
    last_seen_at INTEGER,
    watching INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    forwarded_from TEXT,
    PRIMARY KEY (sender, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_key_age ON idempotency_key (sent_at);

INSERT INTO idempotency_key
SELECT sender.name, key, sha256(CAST(text AS BLOB)), answer.message_id, recipient, sent_at, known, last_seen_at,
    watching, pending, forwarded_from
FROM answer
JOIN (SELECT id, name FROM mailbox UNION ALL SELECT mailbox_id, name FROM alias) AS sender
    ON sender.id = answer.sender_id
JOIN body ON body.message_id = answer.message_id;

DROP TABLE answer;
"""

# By which way a message was delivered, what its session is doing, and what a session was shown of
# which there is no proof yet that its model has it. `turn` counts the prompts of a session.
_SHOWN_TO_SESSIONS = """
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
"""

# History. What a mailbox sent and got is found by two indexes of `message`; words in it by `search`,
# which messages/history.py fills behind the sends: `search_gap` has the ranges of messages that are
# not in it yet, the open one above all others included. Deleted mailboxes that exchanged mail keep
# their id.
_HISTORY = """
CREATE INDEX message_received ON message (recipient_id, id, sender_id);
CREATE INDEX message_sent ON message (sender_id, id, recipient_id);

CREATE TABLE deleted_mailbox (
    name TEXT PRIMARY KEY,
    mailbox_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE search USING fts5(
    text, peer, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TABLE search_gap (
    upto INTEGER PRIMARY KEY,
    above INTEGER NOT NULL
) STRICT;
INSERT INTO search_gap (upto, above) VALUES (9223372036854775807, 0);
"""

# Threads, questions, urgency and times. `urgency` is 1 for high and -1 for low, which is quiet: so is
# whatever rings nobody. `answer_by` makes a question, which is open as long as it has no `outcome`.
# `notice` says of a message by the daemon what it tells. `backlog` counts what nobody sees yet as
# `hidden`, and of what waits the `quiet`.
_CONVERSATIONS = """
ALTER TABLE message ADD COLUMN thread INTEGER;
ALTER TABLE message ADD COLUMN reply_to INTEGER;
ALTER TABLE message ADD COLUMN is_final INTEGER NOT NULL DEFAULT 1;
ALTER TABLE message ADD COLUMN urgency INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN is_quiet INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN visible_at INTEGER;
ALTER TABLE message ADD COLUMN expires_at INTEGER;
ALTER TABLE message ADD COLUMN answer_by INTEGER;
ALTER TABLE message ADD COLUMN outcome TEXT;
ALTER TABLE message ADD COLUMN notice TEXT;

DROP INDEX message_waiting;
CREATE INDEX message_waiting ON message (recipient_id, urgency < 1, id) WHERE state = 0;
CREATE INDEX message_thread ON message (thread, id) WHERE thread IS NOT NULL;
CREATE INDEX message_reply ON message (reply_to, id) WHERE reply_to IS NOT NULL;
CREATE INDEX message_delayed ON message (visible_at) WHERE visible_at IS NOT NULL AND state = 3;
CREATE INDEX message_expiring ON message (expires_at)
    WHERE expires_at IS NOT NULL AND state IN (0, 3, 4);
CREATE INDEX message_question ON message (answer_by)
    WHERE answer_by IS NOT NULL AND outcome IS NULL;
CREATE INDEX message_hidden ON message (recipient_id, id) WHERE state IN (3, 4);
CREATE INDEX message_parked ON message (id) WHERE state = 6;

ALTER TABLE backlog ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backlog ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER message_sent;
CREATE TRIGGER message_sent AFTER INSERT ON message BEGIN
    INSERT INTO backlog (recipient_id, sender_id, waiting, leased, hidden, quiet)
    VALUES (
        new.recipient_id, new.sender_id, new.state = 0, new.state = 1, new.state IN (3, 4),
        new.state = 0 AND new.is_quiet
    )
    ON CONFLICT DO UPDATE SET
        waiting = waiting + excluded.waiting, leased = leased + excluded.leased,
        hidden = hidden + excluded.hidden, quiet = quiet + excluded.quiet;
END;
DROP TRIGGER message_moved;
CREATE TRIGGER message_moved AFTER UPDATE OF state, is_quiet ON message
WHEN old.state <> new.state OR old.is_quiet <> new.is_quiet BEGIN
    UPDATE backlog SET
        waiting = waiting + (new.state = 0) - (old.state = 0),
        leased = leased + (new.state = 1) - (old.state = 1),
        hidden = hidden + (new.state IN (3, 4)) - (old.state IN (3, 4)),
        quiet = quiet + (new.state = 0 AND new.is_quiet) - (old.state = 0 AND old.is_quiet)
    WHERE recipient_id = new.recipient_id AND sender_id = new.sender_id;
END;
"""

# Names have one normal form, and are asked for in that alone; older versions kept them as they came.
# Where two mailboxes differ in nothing else, the younger one, which nobody could reach any more, gets
# a number.
_NORMAL_NAMES = """
UPDATE OR IGNORE mailbox SET name = nfc(name) WHERE name <> nfc(name)
    AND NOT EXISTS (SELECT 1 FROM alias WHERE alias.name = nfc(mailbox.name));
UPDATE mailbox SET name = substr(nfc(name), 1, 100) || '-' || id WHERE name <> nfc(name);

UPDATE OR IGNORE alias SET name = nfc(name) WHERE name <> nfc(name)
    AND NOT EXISTS (SELECT 1 FROM mailbox WHERE mailbox.name = nfc(alias.name));
DELETE FROM alias WHERE name <> nfc(name);

UPDATE OR IGNORE deleted_mailbox SET name = nfc(name) WHERE name <> nfc(name);
DELETE FROM deleted_mailbox WHERE name <> nfc(name);

UPDATE OR IGNORE idempotency_key SET sender = nfc(sender) WHERE sender <> nfc(sender);
UPDATE session SET name = nfc(name) WHERE name <> nfc(name);
"""

# Tokens of clients on other machines; patterns are lines.
_TOKENS = """
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    patterns TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
"""

# Groups, what mailboxes say of themselves, and messages that are held between sessions. The copies of
# a message to a group have the number of the first of them in `copy_of`. `exchange` has what was
# written to sessions lately, which the limits count.
_GROUPS = """
ALTER TABLE message ADD COLUMN group_name TEXT;
ALTER TABLE message ADD COLUMN copy_of INTEGER;
ALTER TABLE mailbox ADD COLUMN description TEXT;
CREATE INDEX message_copy ON message (copy_of) WHERE copy_of IS NOT NULL;
CREATE INDEX message_group ON message (group_name, id) WHERE group_name IS NOT NULL;
CREATE INDEX message_held ON message (recipient_id, sender_id) WHERE state = 4;

CREATE TABLE membership (
    group_name TEXT NOT NULL,
    mailbox_id INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (group_name, mailbox_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_mailbox ON membership (mailbox_id);

CREATE TABLE exchange (
    sender_id INTEGER NOT NULL,
    recipient_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (sender_id, recipient_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX exchange_recipient ON exchange (recipient_id);
CREATE INDEX exchange_age ON exchange (sent_at);
"""

# A send changes few pages, because each of them is written out with it. So what it can do without
# is gone: AUTOINCREMENT, whose numbers have a page of their own, as no message is ever deleted; and
# the two indexes of history. `correspondence` takes their place, which is filled behind the sends, up
# to `correspondence_end`.
_FEWER_PAGES = """
CREATE TABLE new_message (
    id INTEGER PRIMARY KEY,
    recipient_id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    lease_until INTEGER,
    delivered_at INTEGER,
    delivered_by TEXT,
    thread INTEGER,
    reply_to INTEGER,
    is_final INTEGER NOT NULL DEFAULT 1,
    urgency INTEGER NOT NULL DEFAULT 0,
    is_quiet INTEGER NOT NULL DEFAULT 0,
    visible_at INTEGER,
    expires_at INTEGER,
    answer_by INTEGER,
    outcome TEXT,
    notice TEXT,
    group_name TEXT,
    copy_of INTEGER
) STRICT;
INSERT INTO new_message SELECT id, recipient_id, sender_id, recipient, sender, sent_at, state,
    attempts, lease, lease_until, delivered_at, delivered_by, thread, reply_to, is_final, urgency,
    is_quiet, visible_at, expires_at, answer_by, outcome, notice, group_name, copy_of FROM message;
DROP TABLE message;
ALTER TABLE new_message RENAME TO message;

CREATE INDEX message_waiting ON message (recipient_id, urgency < 1, id) WHERE state = 0;
CREATE INDEX message_leased ON message (lease_until) WHERE state = 1;
CREATE INDEX message_thread ON message (thread, id) WHERE thread IS NOT NULL;
CREATE INDEX message_reply ON message (reply_to, id) WHERE reply_to IS NOT NULL;
CREATE INDEX message_delayed ON message (visible_at) WHERE visible_at IS NOT NULL AND state = 3;
CREATE INDEX message_expiring ON message (expires_at)
    WHERE expires_at IS NOT NULL AND state IN (0, 3, 4);
CREATE INDEX message_question ON message (answer_by)
    WHERE answer_by IS NOT NULL AND outcome IS NULL;
CREATE INDEX message_hidden ON message (recipient_id, id) WHERE state IN (3, 4);
CREATE INDEX message_parked ON message (id) WHERE state = 6;
CREATE INDEX message_copy ON message (copy_of) WHERE copy_of IS NOT NULL;
CREATE INDEX message_group ON message (group_name, id) WHERE group_name IS NOT NULL;
CREATE INDEX message_held ON message (recipient_id, sender_id) WHERE state = 4;

CREATE TRIGGER message_sent AFTER INSERT ON message BEGIN
    INSERT INTO backlog (recipient_id, sender_id, waiting, leased, hidden, quiet)
    VALUES (
        new.recipient_id, new.sender_id, new.state = 0, new.state = 1, new.state IN (3, 4),
        new.state = 0 AND new.is_quiet
    )
    ON CONFLICT DO UPDATE SET
        waiting = waiting + excluded.waiting, leased = leased + excluded.leased,
        hidden = hidden + excluded.hidden, quiet = quiet + excluded.quiet;
END;
CREATE TRIGGER message_moved AFTER UPDATE OF state, is_quiet ON message
WHEN old.state <> new.state OR old.is_quiet <> new.is_quiet BEGIN
    UPDATE backlog SET
        waiting = waiting + (new.state = 0) - (old.state = 0),
        leased = leased + (new.state = 1) - (old.state = 1),
        hidden = hidden + (new.state IN (3, 4)) - (old.state IN (3, 4)),
        quiet = quiet + (new.state = 0 AND new.is_quiet) - (old.state = 0 AND old.is_quiet)
    WHERE recipient_id = new.recipient_id AND sender_id = new.sender_id;
END;

CREATE TABLE correspondence (
    mailbox_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    peer_id INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, message_id)
) STRICT, WITHOUT ROWID;
INSERT INTO correspondence
SELECT recipient_id, id, sender_id FROM message
UNION ALL SELECT sender_id, id, recipient_id FROM message WHERE sender_id <> recipient_id
ORDER BY 1, 2;
CREATE TABLE correspondence_end (message_id INTEGER NOT NULL) STRICT;
INSERT INTO correspondence_end SELECT coalesce(max(id), 0) FROM message;
"""

# The search in all mail has rows of its own: everything is indexed anew, newest first.
_SEARCH_IN_ALL_MAIL = """
INSERT INTO search (search) VALUES ('delete-all');
DELETE FROM search_gap WHERE upto < 9223372036854775807;
INSERT INTO search_gap (upto, above) SELECT above, 0 FROM search_gap WHERE above > 0;
"""

# Appended to, never edited: each entry takes the database from its index to the next number.
MIGRATIONS = (
    _FIRST,
    _KEYS_BY_NAME,
    _SHOWN_TO_SESSIONS,
    _HISTORY,
    _CONVERSATIONS,
    _NORMAL_NAMES,
    _TOKENS,
    _GROUPS,
    _FEWER_PAGES,
    _SEARCH_IN_ALL_MAIL,
)


def _sha256(*values: Any) -> bytes:
    """SQLite has none of its own; it takes bytes, so that damaged text does no harm."""
    return sha256(*values).digest()


def _nfc(*values: Any) -> str | None:
    (name,) = values
    return None if name is None else unicodedata.normalize("NFC", name)


def migrate(connection: apsw.Connection, version: int) -> None:
    """Bring the schema from *version* to the newest, in one transaction."""
    if version == len(MIGRATIONS):
        return
    connection.create_scalar_function("sha256", _sha256, 1)
    connection.create_scalar_function("nfc", _nfc, 1)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version:]:
            connection.execute(migration)
        connection.pragma("user_version", len(MIGRATIONS))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.create_scalar_function("sha256", None, 1)
    connection.create_scalar_function("nfc", None, 1)
