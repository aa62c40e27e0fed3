-- poster, audiences: who posted it and whom it is for, to withdraw, replace and
-- purge it by its id. audiences is a JSON array and shrinks as audiences are
-- taken over by a later post of the same scope. metadata is JSON as it was
-- sent. severity: 0 low, 1 normal, 2 high, 3 critical. Times are in Unix
-- milliseconds.
ALTER TABLE notification_messages
    ADD COLUMN poster       text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN audiences    text NOT NULL DEFAULT '[]',
    ADD COLUMN severity     smallint NOT NULL DEFAULT 1,
    ADD COLUMN link         text,
    ADD COLUMN icon         text,
    ADD COLUMN metadata     text,
    ADD COLUMN scope        text COLLATE "C",
    ADD COLUMN updated_at   bigint,
    ADD COLUMN expires_at   bigint,
    ADD COLUMN scheduled    boolean NOT NULL DEFAULT false,
    ADD COLUMN withdrawn_at bigint,
    ADD COLUMN replaced_by  uuid;

UPDATE notification_messages m SET audiences = d.audiences
FROM (
    SELECT message_id, json_agg(audience ORDER BY audience)::text AS audiences
    FROM notification_deliveries GROUP BY message_id
) d
WHERE d.message_id = m.id;

CREATE INDEX notification_messages_scope ON notification_messages (poster, origin, scope) WHERE scope IS NOT NULL;
CREATE INDEX notification_messages_expires ON notification_messages (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX notification_messages_withdrawn ON notification_messages (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

-- What lists and counts need of a message, so that they read the key alone.
-- expires_at is the largest bigint where it never does; scheduled says that
-- the instant in message_id hides it until then; system, that it is addressed
-- to everybody, perhaps beside this audience.
ALTER TABLE notification_deliveries
    ADD COLUMN severity   smallint NOT NULL DEFAULT 1,
    ADD COLUMN scheduled  boolean NOT NULL DEFAULT false,
    ADD COLUMN system     boolean NOT NULL DEFAULT false,
    ADD COLUMN expires_at bigint NOT NULL DEFAULT 9223372036854775807;

UPDATE notification_deliveries d SET system = true
FROM notification_messages m WHERE m.id = d.message_id AND m.is_system;

ALTER TABLE notification_deliveries
    DROP CONSTRAINT notification_deliveries_pkey,
    ADD PRIMARY KEY (audience, message_id) INCLUDE (severity, scheduled, system, expires_at);

-- Null is not saved, not archived. The index serves reach, purge and erasure.
ALTER TABLE notification_states
    ADD COLUMN saved_at    bigint,
    ADD COLUMN archived_at bigint;
CREATE INDEX notification_states_message ON notification_states (message_id);

-- One row a scope ever posted to: whoever posts to it again locks the row, so
-- that posts of one scope come one after another.
CREATE TABLE notification_scopes (
    poster  text COLLATE "C" NOT NULL,
    origin  text COLLATE "C" NOT NULL,
    scope   text COLLATE "C" NOT NULL,
    used_at bigint NOT NULL,
    PRIMARY KEY (poster, origin, scope)
);

-- What was posted under a key, until the key is forgotten. content is a hash.
CREATE TABLE notification_idempotency_keys (
    poster     text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL,
    content    text NOT NULL,
    message_id uuid NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (poster, key)
);
CREATE INDEX notification_idempotency_keys_expires ON notification_idempotency_keys (expires_at);
