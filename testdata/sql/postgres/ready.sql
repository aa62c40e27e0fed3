SELECT attname::text
FROM pg_attribute
WHERE attrelid = to_regclass($1)
AND attnum > 0
AND NOT attisdropped;

SELECT id, origin, title, message, topic, actions, is_system, origin_key, title_key, message_key, topic_key
FROM notification_messages
LIMIT 0;

SELECT audience, message_id
FROM notification_deliveries
LIMIT 0;

SELECT user_ref, message_id, read_at
FROM notification_states
LIMIT 0;

SELECT poster, audiences, severity, link, icon, metadata, scope, updated_at, expires_at, scheduled, withdrawn_at,
	replaced_by
FROM notification_messages
LIMIT 0;

SELECT severity, scheduled, system, expires_at
FROM notification_deliveries
LIMIT 0;

SELECT saved_at, archived_at
FROM notification_states
LIMIT 0;

SELECT poster, origin, scope, used_at
FROM notification_scopes
LIMIT 0;

SELECT poster, key, content, message_id, expires_at
FROM notification_idempotency_keys
LIMIT 0;

SELECT current_setting('transaction_read_only');
