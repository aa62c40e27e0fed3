SELECT name
FROM pragma_table_info(?);

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

SELECT file
FROM pragma_database_list
WHERE name = 'main';

INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT aud.value, ?, ?, ?, ?, ?
FROM (
	SELECT item.value AS value
	FROM json_each(?) item
) aud;

INSERT INTO notification_changes (kind, message_id, due_at)
VALUES (?, ?, ?);

DELETE FROM notification_deliveries
WHERE (audience, message_id) IN (
	SELECT audience, message_id
	FROM (
		SELECT item.value ->> 'audience' AS audience, item.value ->> 'message_id' AS message_id
		FROM json_each(?) item
	) item
);

DELETE FROM notification_messages
WHERE id = ?;
