-- poster, audiences: who posted it and whom it is for, to withdraw, replace and
-- purge it by its id. audiences is a JSON array and shrinks as audiences are
-- taken over by a later post of the same scope. metadata is JSON as it was
-- sent. severity: 0 low, 1 normal, 2 high, 3 critical. Times are in Unix
-- milliseconds.
ALTER TABLE notification_messages ADD COLUMN poster       TEXT NOT NULL DEFAULT '';
ALTER TABLE notification_messages ADD COLUMN audiences    TEXT NOT NULL DEFAULT '[]';
ALTER TABLE notification_messages ADD COLUMN severity     INTEGER NOT NULL DEFAULT 1;
ALTER TABLE notification_messages ADD COLUMN link         TEXT;
ALTER TABLE notification_messages ADD COLUMN icon         TEXT;
ALTER TABLE notification_messages ADD COLUMN metadata     TEXT;
ALTER TABLE notification_messages ADD COLUMN scope        TEXT;
ALTER TABLE notification_messages ADD COLUMN updated_at   INTEGER;
ALTER TABLE notification_messages ADD COLUMN expires_at   INTEGER;
ALTER TABLE notification_messages ADD COLUMN scheduled    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notification_messages ADD COLUMN withdrawn_at INTEGER;
ALTER TABLE notification_messages ADD COLUMN replaced_by  TEXT;

UPDATE notification_messages SET audiences = d.audiences
FROM (
    SELECT message_id, json_group_array(audience) AS audiences
    FROM (SELECT message_id, audience FROM notification_deliveries ORDER BY message_id, audience)
    GROUP BY message_id
) d
WHERE d.message_id = notification_messages.id;

CREATE INDEX notification_messages_scope ON notification_messages (poster, origin, scope) WHERE scope IS NOT NULL;
CREATE INDEX notification_messages_expires ON notification_messages (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX notification_messages_withdrawn ON notification_messages (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

-- What lists and counts need of a message, so that they read the key alone.
-- expires_at is the largest integer where it never does; scheduled says that
-- the instant in message_id hides it until then; system, that it is addressed
-- to everybody, perhaps beside this audience.
ALTER TABLE notification_deliveries ADD COLUMN severity   INTEGER NOT NULL DEFAULT 1;
ALTER TABLE notification_deliveries ADD COLUMN scheduled  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notification_deliveries ADD COLUMN system     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notification_deliveries ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 9223372036854775807;

UPDATE notification_deliveries SET system = 1
WHERE message_id IN (SELECT id FROM notification_messages WHERE is_system);

-- Null is not saved, not archived. The index serves reach, purge and erasure.
ALTER TABLE notification_states ADD COLUMN saved_at    INTEGER;
ALTER TABLE notification_states ADD COLUMN archived_at INTEGER;
CREATE INDEX notification_states_message ON notification_states (message_id);

-- One row a scope ever posted to: whoever posts to it again locks the row, so
-- that posts of one scope come one after another.
CREATE TABLE notification_scopes (
    poster  TEXT NOT NULL,
    origin  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (poster, origin, scope)
) STRICT, WITHOUT ROWID;

-- What was posted under a key, until the key is forgotten. content is a hash.
CREATE TABLE notification_idempotency_keys (
    poster     TEXT NOT NULL,
    key        TEXT NOT NULL,
    content    TEXT NOT NULL,
    message_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (poster, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_idempotency_keys_expires ON notification_idempotency_keys (expires_at);
