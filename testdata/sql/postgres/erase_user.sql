DELETE FROM notification_scopes
WHERE poster = $1;

DELETE FROM notification_states
WHERE user_ref = $1;

UPDATE notification_messages
SET audience_list = (
	SELECT coalesce(json_agg(aud.value) ::text, '[]')
	FROM json_array_elements_text(notification_messages.audience_list::json) AS aud(value)
	WHERE aud.value <> $1
)
WHERE id IN (
	SELECT del.message_id
	FROM notification_deliveries del
	WHERE del.audience = $2
	UNION ALL
	SELECT id
	FROM notification_messages
	WHERE withdrawn_at IS NOT NULL
	AND EXISTS (
		SELECT 1
		FROM json_array_elements_text(notification_messages.audience_list::json) AS aud(value)
		WHERE aud.value = $3
	)
)
AND (
	SELECT count(*)
	FROM json_array_elements_text(notification_messages.audience_list::json) AS aud(value)
	WHERE TRUE
) > 1;

SELECT id
FROM notification_messages
WHERE id IN (
	SELECT del.message_id
	FROM notification_deliveries del
	WHERE del.audience = $1
	UNION ALL
	SELECT id
	FROM notification_messages
	WHERE withdrawn_at IS NOT NULL
	AND EXISTS (
		SELECT 1
		FROM json_array_elements_text(notification_messages.audience_list::json) AS aud(value)
		WHERE aud.value = $2
	)
)
AND (
	SELECT count(*)
	FROM json_array_elements_text(notification_messages.audience_list::json) AS aud(value)
	WHERE aud.value <> $3
) = 0;

DELETE FROM notification_messages
WHERE id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($1::json) AS item(value)
);

DELETE FROM notification_states
WHERE message_id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($1::json) AS item(value)
);

DELETE FROM notification_deliveries
WHERE audience = $1;

UPDATE notification_messages
SET poster = '', scope = NULL
WHERE poster = $1;

DELETE FROM notification_idempotency_keys
WHERE poster = $1;

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT *
	FROM json_to_recordset($1::json) AS item(kind smallint, message_id uuid, user_ref text, audiences text, due_at bigint)
) item;
