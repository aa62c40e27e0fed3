UPDATE notification_scopes
SET used_at = ?
WHERE poster = ?
AND origin = ?
AND scope = ?;

SELECT msg.id, msg.audiences, msg.expires_at
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
RETURNING id, audiences;

DELETE FROM notification_deliveries
WHERE (audience, message_id) IN (
	SELECT audience, message_id
	FROM (
		SELECT item.value ->> 'audience' AS audience, item.value ->> 'message_id' AS message_id
		FROM json_each(?) item
	) item
);
