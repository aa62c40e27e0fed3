SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = ?
AND expires_at > ?
AND key IN (
	SELECT item.value AS value
	FROM json_each(?) item
);
