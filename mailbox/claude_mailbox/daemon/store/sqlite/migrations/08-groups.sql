-- Groups, what mailboxes say of themselves, and messages that are held between sessions. The copies
-- of a message to a group have the number of the first of them in `copy_of`. `exchange` has what
-- was written to sessions lately, which the limits count.

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
