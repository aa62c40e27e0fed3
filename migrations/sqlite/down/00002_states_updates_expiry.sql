DROP TABLE notification_idempotency_keys;
DROP TABLE notification_scopes;

DROP INDEX notification_states_message;
ALTER TABLE notification_states DROP COLUMN archived_at;
ALTER TABLE notification_states DROP COLUMN saved_at;

ALTER TABLE notification_deliveries DROP COLUMN expires_at;
ALTER TABLE notification_deliveries DROP COLUMN system;
ALTER TABLE notification_deliveries DROP COLUMN scheduled;
ALTER TABLE notification_deliveries DROP COLUMN severity;

DROP INDEX notification_messages_withdrawn;
DROP INDEX notification_messages_expires;
DROP INDEX notification_messages_scope;
ALTER TABLE notification_messages DROP COLUMN replaced_by;
ALTER TABLE notification_messages DROP COLUMN withdrawn_at;
ALTER TABLE notification_messages DROP COLUMN scheduled;
ALTER TABLE notification_messages DROP COLUMN expires_at;
ALTER TABLE notification_messages DROP COLUMN updated_at;
ALTER TABLE notification_messages DROP COLUMN scope;
ALTER TABLE notification_messages DROP COLUMN metadata;
ALTER TABLE notification_messages DROP COLUMN icon;
ALTER TABLE notification_messages DROP COLUMN link;
ALTER TABLE notification_messages DROP COLUMN severity;
ALTER TABLE notification_messages DROP COLUMN audiences;
ALTER TABLE notification_messages DROP COLUMN poster;
