INSERT INTO notification_scopes (poster, origin, scope, used_at)
SELECT CAST(? AS text), item.origin, item.scope, CAST(? AS bigint)
FROM (
	SELECT item.value ->> 'origin' AS origin, item.value ->> 'scope' AS scope
	FROM json_each(?) item
) item
WHERE TRUE
ON CONFLICT (poster, origin, scope) DO UPDATE
SET used_at = excluded.used_at;

SELECT msg.id, msg.audience_list, msg.expires_at
FROM notification_messages msg
WHERE msg.poster = ?
AND msg.origin = ?
AND msg.scope = ?
AND msg.withdrawn_at IS NULL
ORDER BY msg.id;

UPDATE notification_messages
SET audience_list = ?, replaced_by = ?, withdrawn_at = coalesce(withdrawn_at, ?)
WHERE id = ?;

DELETE FROM notification_deliveries
WHERE (audience, message_id) IN (
	SELECT audience, message_id
	FROM (
		SELECT item.value ->> 'audience' AS audience, item.value ->> 'message_id' AS message_id
		FROM json_each(?) item
	) item
);

UPDATE notification_messages
SET is_system = FALSE
WHERE id = ?;

UPDATE notification_deliveries
SET system = FALSE
WHERE message_id = ?
AND audience IN (
	SELECT item.value AS value
	FROM json_each(?) item
);

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT item.value ->> 'kind' AS kind, item.value ->> 'message_id' AS message_id, item.value ->> 'user_ref' AS user_ref,
		item.value ->> 'audiences' AS audiences, item.value ->> 'due_at' AS due_at
	FROM json_each(?) item
) item;

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
