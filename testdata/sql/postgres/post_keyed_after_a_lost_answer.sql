SELECT id
FROM notification_messages
WHERE id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($1::json) AS item(value)
);
