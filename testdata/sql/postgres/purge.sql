SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock;

SELECT pg_try_advisory_xact_lock($1);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= $1;

SELECT id
FROM notification_messages
WHERE expires_at <= $1
AND withdrawn_at IS NULL
AND id > $2
ORDER BY id
LIMIT 500
FOR UPDATE SKIP LOCKED;

SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock;

SELECT pg_try_advisory_xact_lock($1);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= $1;

SELECT id
FROM notification_messages
WHERE id < $1
AND withdrawn_at IS NULL
AND id > $2
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
LIMIT 500
FOR UPDATE SKIP LOCKED;

SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock;

SELECT pg_try_advisory_xact_lock($1);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= $1;

SELECT id
FROM notification_messages
WHERE withdrawn_at IS NOT NULL
ORDER BY withdrawn_at
LIMIT 500
FOR UPDATE SKIP LOCKED;

DELETE FROM notification_states
WHERE (user_ref, message_id) IN (
	SELECT user_ref, message_id
	FROM notification_states
	WHERE message_id IN (
		SELECT item.value::uuid AS value
		FROM json_array_elements_text($1::json) AS item(value)
	)
	LIMIT 10000
);

DELETE FROM notification_messages
WHERE id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($1::json) AS item(value)
);

SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock;

SELECT pg_try_advisory_xact_lock($1);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= $1;

SELECT id
FROM notification_messages
WHERE withdrawn_at IS NOT NULL
ORDER BY withdrawn_at
LIMIT 500
FOR UPDATE SKIP LOCKED;

SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock;

SELECT pg_try_advisory_xact_lock($1);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= $1;

DELETE FROM notification_scopes
WHERE used_at < $1
AND NOT EXISTS (
	SELECT 1
	FROM notification_messages msg
	WHERE msg.poster = notification_scopes.poster
	AND msg.origin = notification_scopes.origin
	AND msg.scope = notification_scopes.scope
);

SELECT set_config('statement_timeout', '0', TRUE) AS statement, set_config('lock_timeout', '0', TRUE) AS lock;

SELECT pg_try_advisory_xact_lock($1);

DELETE FROM notification_idempotency_keys
WHERE expires_at <= $1;

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
