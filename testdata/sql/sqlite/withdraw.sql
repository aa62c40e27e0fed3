SELECT msg.id, msg.poster, msg.audiences, msg.is_system, msg.expires_at, msg.scheduled, msg.withdrawn_at,
	msg.replaced_by
FROM notification_messages msg
WHERE msg.id = ?;

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
