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
SET updated_at = ?, title = ?, message = ?, topic = ?, severity = ?, link = ?, icon = ?, metadata = ?,
	actions = ?, expires_at = ?, title_key = ?, message_key = ?, topic_key = ?
WHERE id = ?;

UPDATE notification_deliveries
SET severity = ?, expires_at = ?
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
