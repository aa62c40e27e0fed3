SELECT msg.id, msg.poster, msg.audience_list, msg.is_system, msg.expires_at, msg.scheduled, msg.withdrawn_at,
	msg.replaced_by
FROM notification_messages msg
WHERE msg.id = $1;

UPDATE notification_messages
SET withdrawn_at = $1
WHERE withdrawn_at IS NULL
AND id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($2::json) AS item(value)
)
RETURNING id, audience_list, expires_at;

DELETE FROM notification_deliveries
WHERE (audience, message_id) IN (
	SELECT audience, message_id
	FROM (
		SELECT *
		FROM json_to_recordset($1::json) AS item(audience text, message_id uuid)
	) item
);

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT *
	FROM json_to_recordset($1::json) AS item(kind smallint, message_id uuid, user_ref text, audiences text, due_at bigint)
) item;
