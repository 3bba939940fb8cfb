"""Functions in the database, so that a send, a claim or a settlement takes one round trip.

A statement in a function sees what was committed when that statement began. So after locking a mailbox
it sees the changes of those who had the lock before.
"""

# Stores a message, and the receipt of its key under all names. It stores nothing, and returns no
# number, if a name is unknown or a former one, the sender was never seen, the mailbox is full, or
# the key is remembered: then it is for the caller to find out which.
SEND = """
CREATE FUNCTION send_message(
    p_sender TEXT, p_recipient TEXT, p_body BYTEA, p_now BIGINT, p_state INTEGER, p_thread BIGINT,
    p_reply_to BIGINT, p_is_final BOOLEAN, p_urgency INTEGER, p_is_quiet BOOLEAN,
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

# Few waiting messages were claimed before.
TRIED = """
CREATE INDEX message_tried ON message (recipient_id, attempts) WHERE state = 0 AND attempts > 0;
"""

# Leases the first messages of a mailbox of that name, if there is one. There is always a row; each
# has the mailbox, the number of messages that still wait, and those with too many attempts.
CLAIM = """
CREATE FUNCTION claim_messages(
    p_mailbox TEXT, p_now BIGINT, p_limit BIGINT, p_bytes BIGINT, p_at_least_one BOOLEAN,
    p_max_attempts INTEGER, p_thread BIGINT, p_nonce TEXT, p_lease_until BIGINT, p_holder TEXT,
    p_by TEXT, p_may_wait BOOLEAN
) RETURNS TABLE (
    mailbox_id BIGINT, seen_at BIGINT, remaining INTEGER, worn BIGINT[], number BIGINT,
    from_name TEXT, body_text BYTEA, sent BIGINT, tries INTEGER, thread BIGINT, reply_to BIGINT,
    is_final BOOLEAN, urgency SMALLINT, answer_by BIGINT, notice TEXT, group_name TEXT
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_mailbox_id BIGINT;
    v_seen_at BIGINT;
    v_remaining INTEGER;
    v_worn BIGINT[] := '{}';
    v_claimed BIGINT[];
BEGIN
    IF p_may_wait THEN
        SELECT id, last_seen_at INTO v_mailbox_id, v_seen_at FROM mailbox
            WHERE name = p_mailbox FOR NO KEY UPDATE;
    ELSE
        SELECT id, last_seen_at INTO v_mailbox_id, v_seen_at FROM mailbox
            WHERE name = p_mailbox FOR NO KEY UPDATE NOWAIT;
    END IF;
    -- Sizes first, so that no more texts are read than will be taken.
    SELECT array_agg(id) INTO v_claimed FROM (
        SELECT id, sum(size) OVER line AS upto, row_number() OVER line AS place FROM (
            SELECT id, urgency, octet_length(text) AS size
            FROM message JOIN body ON message_id = id
            WHERE recipient_id = v_mailbox_id AND state = 0
                AND (expires_at IS NULL OR expires_at > p_now)
                AND (p_max_attempts = 0 OR attempts < p_max_attempts)
                AND (p_thread IS NULL OR p_thread IN (thread, id))
            ORDER BY urgency < 1, id LIMIT p_limit
        ) AS first WINDOW line AS (ORDER BY urgency < 1, id)
    ) AS first WHERE upto <= p_bytes OR (p_at_least_one AND place = 1);
    UPDATE message SET state = 1, attempts = attempts + 1, lease = p_nonce,
        lease_until = p_lease_until, holder = p_holder, delivered_by = p_by
        WHERE id = ANY(v_claimed);
    SELECT coalesce(sum(waiting), 0) INTO v_remaining FROM backlog
        WHERE recipient_id = v_mailbox_id;
    IF p_max_attempts > 0 AND v_remaining > 0 THEN
        SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO v_worn FROM message
            WHERE recipient_id = v_mailbox_id AND state = 0
                AND (expires_at IS NULL OR expires_at > p_now)
                AND attempts > 0 AND attempts >= p_max_attempts
                AND (p_thread IS NULL OR p_thread IN (thread, id));
    END IF;
    RETURN QUERY SELECT v_mailbox_id, v_seen_at, v_remaining, v_worn, claimed.* FROM (SELECT)
        AS one LEFT JOIN (
            SELECT id, coalesce((SELECT name FROM mailbox WHERE mailbox.id = sender_id), sender),
                text, sent_at, attempts, thread, reply_to, is_final, urgency, answer_by, notice,
                group_name
            FROM message JOIN body ON message_id = id WHERE id = ANY(v_claimed)
            ORDER BY urgency < 1, id
        ) AS claimed ON TRUE;
END $$;
"""

# Marks leased messages delivered; returns which leases were held.
SETTLE = """
CREATE FUNCTION settle_messages(
    p_numbers BIGINT[], p_nonces TEXT[], p_mailbox TEXT, p_now BIGINT, p_may_wait BOOLEAN
) RETURNS TABLE (mailbox_id BIGINT, number BIGINT, nonce TEXT) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF p_may_wait THEN
        PERFORM FROM mailbox
            WHERE id IN (SELECT recipient_id FROM message WHERE id = ANY(p_numbers))
            ORDER BY id FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM mailbox
            WHERE id IN (SELECT recipient_id FROM message WHERE id = ANY(p_numbers))
            ORDER BY id FOR NO KEY UPDATE NOWAIT;
    END IF;
    RETURN QUERY UPDATE message SET state = 2, lease_until = NULL, holder = NULL,
        delivered_at = CASE state WHEN 1 THEN p_now ELSE delivered_at END
        FROM unnest(p_numbers, p_nonces) AS token (token_number, token_nonce)
        WHERE id = token_number AND lease = token_nonce AND state IN (1, 2)
            AND (p_mailbox IS NULL OR recipient_id = coalesce(
                (SELECT id FROM mailbox WHERE name = p_mailbox),
                (SELECT alias.mailbox_id FROM alias WHERE name = p_mailbox)))
        RETURNING recipient_id, id, lease;
END $$;
"""
