-- History. What a mailbox sent and got is found by two indexes of `message`; words in it by
-- `search`, which messages/history.py fills behind the sends: `search_gap` has the ranges of
-- messages that are not in it yet, the open one above all others included. Deleted mailboxes that
-- exchanged mail keep their id.

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
