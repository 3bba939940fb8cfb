-- A send changes few pages, because each of them is written out with it. So what it can do without
-- is gone: AUTOINCREMENT, whose numbers have a page of their own, as no message is ever deleted;
-- and the two indexes of history. `correspondence` takes their place, which is filled behind the
-- sends, up to `correspondence_end`.

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
