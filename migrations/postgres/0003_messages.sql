-- What goes out beside the cards: replies in their threads and direct messages. And when a pending request is due for a
-- reminder or an escalation. The same tables, columns and nullability stand in migrations/sqlite/0003_messages.sql.

-- 'card': drawn anew for as long as the request changes. 'direct': one message to the person named in channel, sent once.
ALTER TABLE delivery ADD COLUMN kind TEXT NOT NULL DEFAULT 'card' CHECK (kind IN ('card', 'direct'));

-- What the thread of a card is still to be told, or was. Only ids: the words are made when it is sent. Whether there is
-- something to do, and whose turn it is, stands in the card's own row, so a card and its thread are one queue.
CREATE TABLE message (
    id          BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    delivery_id BIGINT NOT NULL REFERENCES delivery (id),
    -- The version of the request that it tells of.
    version     BIGINT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('review', 'decision', 'redeemed', 'outcome', 'revoked', 'reminder', 'escalation', 'superseded')),
    -- The review, or for 'superseded' the older message of the card; else empty.
    subject     TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    -- When it was sent, or given up.
    done_at     BIGINT,
    -- Why it was not sent.
    error       TEXT,
    UNIQUE (delivery_id, version, kind, subject),
    CHECK (error IS NULL OR done_at IS NOT NULL)
);
CREATE INDEX message_waiting ON message (delivery_id, id) WHERE done_at IS NULL;

ALTER TABLE request ADD COLUMN remind_at BIGINT;
ALTER TABLE request ADD COLUMN escalate_at BIGINT;
CREATE INDEX request_remind ON request (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX request_escalate ON request (escalate_at) WHERE escalate_at IS NOT NULL;
