SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = ?
AND expires_at > ?
AND key IN (
	SELECT item.value AS value
	FROM json_each(?) item
);

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

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT item.value ->> 'kind' AS kind, item.value ->> 'message_id' AS message_id, item.value ->> 'user_ref' AS user_ref,
		item.value ->> 'audiences' AS audiences, item.value ->> 'due_at' AS due_at
	FROM json_each(?) item
) item;

INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
SELECT id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system,
	audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key
FROM (
	SELECT item.value ->> 'id' AS id, item.value ->> 'poster' AS poster, item.value ->> 'origin' AS origin,
		item.value ->> 'title' AS title, item.value ->> 'message' AS message, item.value ->> 'topic' AS topic,
		item.value ->> 'severity' AS severity, item.value ->> 'link' AS link, item.value ->> 'icon' AS icon,
		item.value ->> 'metadata' AS metadata, item.value ->> 'actions' AS actions, item.value ->> 'is_system' AS is_system,
		item.value ->> 'audience_list' AS audience_list, item.value ->> 'scope' AS scope, item.value ->> 'expires_at' AS expires_at,
		item.value ->> 'scheduled' AS scheduled, item.value ->> 'origin_key' AS origin_key, item.value ->> 'title_key' AS title_key,
		item.value ->> 'message_key' AS message_key, item.value ->> 'topic_key' AS topic_key
	FROM json_each(?) item
) item;

INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT audience, message_id, severity, scheduled, system, expires_at
FROM (
	SELECT item.value ->> 'message_id' AS message_id, item.value ->> 'severity' AS severity, item.value ->> 'scheduled' AS scheduled,
		item.value ->> 'system' AS system, item.value ->> 'expires_at' AS expires_at, item.value ->> 'audience' AS audience
	FROM json_each(?) item
) item;

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT item.value ->> 'kind' AS kind, item.value ->> 'message_id' AS message_id, item.value ->> 'user_ref' AS user_ref,
		item.value ->> 'audiences' AS audiences, item.value ->> 'due_at' AS due_at
	FROM json_each(?) item
) item;
