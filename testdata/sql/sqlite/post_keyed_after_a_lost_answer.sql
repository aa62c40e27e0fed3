SELECT id
FROM notification_messages
WHERE id IN (
	SELECT item.value AS value
	FROM json_each(?) item
);
