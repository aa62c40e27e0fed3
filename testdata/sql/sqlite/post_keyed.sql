SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = ?
AND expires_at > ?
AND key IN (
	SELECT item.value AS value
	FROM json_each(?) item
);

INSERT INTO notification_idempotency_keys AS held (poster, key, content, message_id, expires_at)
SELECT CAST(? AS text), item.key, item.content, item.message_id, CAST(? AS bigint)
FROM (
	SELECT item.value ->> 'key' AS key, item.value ->> 'content' AS content, item.value ->> 'message_id' AS message_id
	FROM json_each(?) item
) item
WHERE TRUE
ON CONFLICT (poster, key) DO UPDATE
SET content = excluded.content, message_id = excluded.message_id, expires_at = excluded.expires_at
WHERE held.expires_at <= ?
RETURNING key;

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
