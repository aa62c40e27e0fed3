SELECT name
FROM pragma_table_info(?);

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

SELECT file
FROM pragma_database_list
WHERE name = 'main';

INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audiences, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT aud.value, ?, ?, ?, ?, ?
FROM (
	SELECT item.value AS value
	FROM json_each(?) item
) aud;

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
