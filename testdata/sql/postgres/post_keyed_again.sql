SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = $1
AND expires_at > $2
AND key IN (
	SELECT item.value::text AS value
	FROM json_array_elements_text($3::json) AS item(value)
);
