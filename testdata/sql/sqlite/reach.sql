SELECT msg.id, msg.poster, msg.audience_list, msg.is_system, msg.expires_at, msg.scheduled, msg.withdrawn_at,
	msg.replaced_by
FROM notification_messages msg
WHERE msg.id = ?;

SELECT audience
FROM notification_deliveries
WHERE message_id = ?
AND audience IN (
	SELECT item.value AS value
	FROM json_each(?) item
)
ORDER BY audience;

SELECT count(read_at) AS read, count(saved_at) AS saved, count(archived_at) AS archived
FROM notification_states
WHERE message_id = ?;
