-- What was said. The *_key columns hold the texts folded; ids are UUIDs in
-- their canonical form, so that they sort as on PostgreSQL.
CREATE TABLE notification_messages (
    id          TEXT NOT NULL PRIMARY KEY,
    origin      TEXT NOT NULL,
    title       TEXT NOT NULL,
    message     TEXT,
    topic       TEXT,
    actions     TEXT NOT NULL,
    is_system   INTEGER NOT NULL,
    origin_key  TEXT NOT NULL,
    title_key   TEXT NOT NULL,
    message_key TEXT,
    topic_key   TEXT
) STRICT;

-- Whom it is for: user:…, group:… or system.
CREATE TABLE notification_deliveries (
    audience   TEXT NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (audience, message_id)
) STRICT, WITHOUT ROWID;

-- What a user did with it. read_at is in Unix milliseconds; null is unread.
CREATE TABLE notification_states (
    user_ref   TEXT NOT NULL,
    message_id TEXT NOT NULL,
    read_at    INTEGER,
    PRIMARY KEY (user_ref, message_id)
) STRICT, WITHOUT ROWID;
