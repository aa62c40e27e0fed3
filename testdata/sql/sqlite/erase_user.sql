DELETE FROM notification_scopes
WHERE poster = ?;

DELETE FROM notification_states
WHERE user_ref = ?;

UPDATE notification_messages
SET audiences = (
	SELECT json_group_array(aud.value)
	FROM json_each(notification_messages.audiences) AS aud
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
		FROM json_each(notification_messages.audiences) AS aud
		WHERE aud.value = ?
	)
)
AND (
	SELECT count(*)
	FROM json_each(notification_messages.audiences) AS aud
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
		FROM json_each(notification_messages.audiences) AS aud
		WHERE aud.value = ?
	)
)
AND (
	SELECT count(*)
	FROM json_each(notification_messages.audiences) AS aud
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
