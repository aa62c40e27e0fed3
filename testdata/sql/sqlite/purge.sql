DELETE FROM notification_idempotency_keys
WHERE expires_at <= ?;

SELECT id
FROM notification_messages
WHERE expires_at <= ?
AND withdrawn_at IS NULL
AND id > ?
ORDER BY id
LIMIT 500;

DELETE FROM notification_idempotency_keys
WHERE expires_at <= ?;

SELECT id
FROM notification_messages
WHERE id < ?
AND withdrawn_at IS NULL
AND id > ?
AND coalesce(
	(
		SELECT FALSE
		FROM notification_states st
		WHERE st.message_id = notification_messages.id
		AND st.saved_at IS NOT NULL
		LIMIT 1
	), TRUE
)
ORDER BY id
LIMIT 500;

DELETE FROM notification_idempotency_keys
WHERE expires_at <= ?;

SELECT id
FROM notification_messages
WHERE withdrawn_at IS NOT NULL
ORDER BY withdrawn_at
LIMIT 500;

DELETE FROM notification_states
WHERE (user_ref, message_id) IN (
	SELECT user_ref, message_id
	FROM notification_states
	WHERE message_id IN (
		SELECT item.value AS value
		FROM json_each(?) item
	)
	LIMIT 10000
);

DELETE FROM notification_messages
WHERE id IN (
	SELECT item.value AS value
	FROM json_each(?) item
);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= ?;

SELECT id
FROM notification_messages
WHERE withdrawn_at IS NOT NULL
ORDER BY withdrawn_at
LIMIT 500;

DELETE FROM notification_idempotency_keys
WHERE expires_at <= ?;

DELETE FROM notification_scopes
WHERE used_at < ?
AND NOT EXISTS (
	SELECT 1
	FROM notification_messages msg
	WHERE msg.poster = notification_scopes.poster
	AND msg.origin = notification_scopes.origin
	AND msg.scope = notification_scopes.scope
);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= ?;

SELECT message_id
FROM notification_states
WHERE message_id < (
	SELECT id
	FROM notification_messages
	ORDER BY id
	LIMIT 1
)
ORDER BY message_id
LIMIT 500;
