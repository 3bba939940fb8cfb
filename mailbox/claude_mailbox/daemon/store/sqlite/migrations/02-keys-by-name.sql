-- Keys of sends, by the sender's name. With them goes what was answered, and a digest of the text.

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
