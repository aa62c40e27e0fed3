UPDATE notification_scopes
SET used_at = ?
WHERE poster = ?
AND origin = ?
AND scope = ?;

SELECT msg.id, msg.audience_list, msg.expires_at
FROM notification_messages msg
WHERE msg.poster = ?
AND msg.origin = ?
AND msg.scope = ?
AND msg.withdrawn_at IS NULL
ORDER BY msg.id;

UPDATE notification_messages
SET withdrawn_at = ?
WHERE withdrawn_at IS NULL
AND id IN (
	SELECT item.value AS value
	FROM json_each(?) item
)
RETURNING id, audience_list, expires_at;

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
