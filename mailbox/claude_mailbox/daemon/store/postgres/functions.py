"""Functions in the database: what a job does on one way to the server.

A statement of a function sees what was committed when that statement began: so after the lock of a
mailbox it sees all that those did who had the lock before.
"""

# Stores a message, and the receipt of its key under all names. It stores nothing, and returns no
# number, if a name is unknown or a former one, the sender was never seen, the mailbox is full, or
# the key is remembered: then it is for the caller to find out which.
SEND = """
CREATE FUNCTION send_message(
    p_sender TEXT, p_recipient TEXT, p_body BYTEA, p_now BIGINT, p_state SMALLINT, p_thread BIGINT,
    p_reply_to BIGINT, p_is_final BOOLEAN, p_urgency SMALLINT, p_is_quiet BOOLEAN,
    p_visible_at BIGINT, p_expires_at BIGINT, p_answer_by BIGINT, p_max_pending BIGINT,
    p_last_seen_at BIGINT, p_watching BOOLEAN, p_forwarded_from TEXT, p_key BYTEA, p_names TEXT[],
    p_digest BYTEA, p_remembered BIGINT, p_may_wait BOOLEAN,
    OUT mailbox_id BIGINT, OUT number BIGINT, OUT seen_at BIGINT, OUT pending INTEGER,
    OUT has_session BOOLEAN
) LANGUAGE plpgsql AS $$
DECLARE
    v_sender_id BIGINT;
    v_pending BIGINT;
BEGIN
    IF p_may_wait THEN
        SELECT id, last_seen_at INTO mailbox_id, seen_at FROM mailbox
            WHERE name = p_recipient FOR NO KEY UPDATE;
    ELSE
        SELECT id, last_seen_at INTO mailbox_id, seen_at FROM mailbox
            WHERE name = p_recipient FOR NO KEY UPDATE NOWAIT;
    END IF;
    SELECT id INTO v_sender_id FROM mailbox WHERE name = p_sender AND last_seen_at IS NOT NULL;
    IF mailbox_id IS NULL OR v_sender_id IS NULL THEN
        RETURN;
    END IF;
    IF p_key IS NOT NULL AND EXISTS (
        SELECT FROM idempotency_key
        WHERE sender = p_sender AND key = p_key AND sent_at > p_remembered
    ) THEN
        RETURN;
    END IF;
    SELECT coalesce(sum(waiting), 0), coalesce(sum(waiting + leased + hidden), 0)
        INTO pending, v_pending FROM backlog WHERE recipient_id = mailbox_id;
    IF v_pending >= p_max_pending THEN
        RETURN;
    END IF;
    INSERT INTO message (
        recipient_id, sender_id, recipient, sender, sent_at, state, thread, reply_to, is_final,
        urgency, is_quiet, visible_at, expires_at, answer_by
    ) VALUES (
        mailbox_id, v_sender_id, p_recipient, p_sender, p_now, p_state, p_thread, p_reply_to,
        p_is_final, p_urgency, p_is_quiet, p_visible_at, p_expires_at, p_answer_by
    ) RETURNING id INTO number;
    INSERT INTO unindexed (message_id) VALUES (number);
    INSERT INTO body (message_id, text) VALUES (number, p_body);
    seen_at := coalesce(p_last_seen_at, seen_at);
    pending := pending + (p_visible_at IS NULL)::int;
    IF p_key IS NOT NULL THEN
        INSERT INTO idempotency_key (
            sender, key, digest, message_id, recipient, sent_at, known, last_seen_at, watching,
            pending, forwarded_from
        )
        SELECT name, p_key, p_digest, number, p_recipient, p_now, seen_at IS NOT NULL, seen_at,
            p_watching, send_message.pending, p_forwarded_from FROM unnest(p_names) AS name
        ON CONFLICT (sender, key) DO UPDATE SET (
            digest, message_id, recipient, sent_at, known, last_seen_at, watching, pending,
            forwarded_from
        ) = (
            excluded.digest, excluded.message_id, excluded.recipient, excluded.sent_at,
            excluded.known, excluded.last_seen_at, excluded.watching, excluded.pending,
            excluded.forwarded_from
        );
    END IF;
    has_session := EXISTS (SELECT FROM session WHERE session.mailbox_id = send_message.mailbox_id);
END $$;
"""
