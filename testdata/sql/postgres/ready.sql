SELECT attname::text
FROM pg_attribute
WHERE attrelid = to_regclass($1)
AND attnum > 0
AND NOT attisdropped;

SELECT coalesce(max(needs_version), 0)
FROM notification_schema_requirements;

SELECT id, origin, title, message, topic, actions, is_system, origin_key, title_key, message_key, topic_key
FROM notification_messages
LIMIT 0;

SELECT audience, message_id
FROM notification_deliveries
LIMIT 0;

SELECT user_ref, message_id, read_at
FROM notification_states
LIMIT 0;

SELECT poster, severity, link, icon, metadata, scope, updated_at, expires_at, scheduled, withdrawn_at,
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

SELECT audience_list
FROM notification_messages
LIMIT 0;

SELECT logged
FROM notification_states
LIMIT 0;

SELECT kind, message_id, user_ref, audiences, due_at
FROM notification_changes
LIMIT 0;

SELECT snapshot, at, nonce
FROM notification_ticks
LIMIT 0;

SELECT identity, nonce
FROM notification_epoch
LIMIT 0;

SELECT needs_version
FROM notification_schema_requirements
LIMIT 0;

SELECT current_setting('transaction_read_only');
