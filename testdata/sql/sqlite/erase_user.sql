DELETE FROM notification_scopes
WHERE poster = ?;

DELETE FROM notification_states
WHERE user_ref = ?;

UPDATE notification_messages
SET audience_list = (
	SELECT json_group_array(aud.value)
	FROM json_each(notification_messages.audience_list) AS aud
	WHERE aud.value <> ?
)
WHERE id IN (
	SELECT del.message_id
	FROM notification_deliveries del
	WHERE del.audience = ?
	UNION ALL
	SELECT id
	FROM notification_messages
	WHERE withdrawn_at IS NOT NULL
	AND EXISTS (
		SELECT 1
		FROM json_each(notification_messages.audience_list) AS aud
		WHERE aud.value = ?
	)
)
AND (
	SELECT count(*)
	FROM json_each(notification_messages.audience_list) AS aud
	WHERE TRUE
) > 1;

SELECT id
FROM notification_messages
WHERE id IN (
	SELECT del.message_id
	FROM notification_deliveries del
	WHERE del.audience = ?
	UNION ALL
	SELECT id
	FROM notification_messages
	WHERE withdrawn_at IS NOT NULL
	AND EXISTS (
		SELECT 1
		FROM json_each(notification_messages.audience_list) AS aud
		WHERE aud.value = ?
	)
)
AND (
	SELECT count(*)
	FROM json_each(notification_messages.audience_list) AS aud
	WHERE aud.value <> ?
) = 0;

DELETE FROM notification_messages
WHERE id IN (
	SELECT item.value AS value
	FROM json_each(?) item
);

DELETE FROM notification_states
WHERE message_id IN (
	SELECT item.value AS value
	FROM json_each(?) item
);

DELETE FROM notification_deliveries
WHERE audience = ?;

UPDATE notification_messages
SET poster = '', scope = NULL
WHERE poster = ?;

DELETE FROM notification_idempotency_keys
WHERE poster = ?;

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT item.value ->> 'kind' AS kind, item.value ->> 'message_id' AS message_id, item.value ->> 'user_ref' AS user_ref,
		item.value ->> 'audiences' AS audiences, item.value ->> 'due_at' AS due_at
	FROM json_each(?) item
) item;
