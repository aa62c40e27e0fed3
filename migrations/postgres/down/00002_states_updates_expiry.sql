DROP TABLE notification_idempotency_keys;
DROP TABLE notification_scopes;

DROP INDEX notification_states_message;
ALTER TABLE notification_states
    DROP COLUMN archived_at,
    DROP COLUMN saved_at;

ALTER TABLE notification_deliveries
    DROP CONSTRAINT notification_deliveries_pkey,
    ADD PRIMARY KEY (audience, message_id);
ALTER TABLE notification_deliveries
    DROP COLUMN expires_at,
    DROP COLUMN system,
    DROP COLUMN scheduled,
    DROP COLUMN severity;

ALTER TABLE notification_messages
    DROP COLUMN replaced_by,
    DROP COLUMN withdrawn_at,
    DROP COLUMN scheduled,
    DROP COLUMN expires_at,
    DROP COLUMN updated_at,
    DROP COLUMN scope,
    DROP COLUMN metadata,
    DROP COLUMN icon,
    DROP COLUMN link,
    DROP COLUMN severity,
    DROP COLUMN audiences,
    DROP COLUMN poster;
