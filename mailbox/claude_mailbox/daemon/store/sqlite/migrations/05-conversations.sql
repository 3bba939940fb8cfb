-- Threads, questions, urgency and times. `urgency` is 1 for high and -1 for low, which is quiet: so
-- is whatever rings nobody. `answer_by` makes a question, which is open as long as it has no
-- `outcome`. `notice` says of a message by the daemon what it tells. `backlog` counts what nobody
-- sees yet as `hidden`, and of what waits the `quiet`.

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
