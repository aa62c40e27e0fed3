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

SELECT user_ref, message_id, read_at, saved_at, archived_at
FROM notification_states
WHERE user_ref = $1
AND message_id = $2;
