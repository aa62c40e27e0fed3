SELECT msg.id, msg.poster, msg.audience_list, msg.is_system, msg.expires_at, msg.scheduled, msg.withdrawn_at,
	msg.replaced_by
FROM notification_messages msg
WHERE msg.id = $1;

SELECT audience
FROM notification_deliveries
WHERE message_id = $1
AND audience IN (
	SELECT item.value::text AS value
	FROM json_array_elements_text($2::json) AS item(value)
)
ORDER BY audience;

SELECT count(read_at) AS read, count(saved_at) AS saved, count(archived_at) AS archived
FROM notification_states
WHERE message_id = $1;
