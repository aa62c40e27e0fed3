SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = $1
AND expires_at > $2
AND key IN (
	SELECT item.value::text AS value
	FROM json_array_elements_text($3::json) AS item(value)
);

SELECT set_config('statement_timeout', item.value, TRUE)
FROM (SELECT $1::text AS value) item
WHERE current_setting('statement_timeout') ::interval NOT BETWEEN interval '1 ms'
AND (item.value || ' ms') ::interval;

INSERT INTO notification_idempotency_keys AS held (poster, key, content, message_id, expires_at)
SELECT CAST($1 AS text), item.key, item.content, item.message_id, CAST($2 AS bigint)
FROM (
	SELECT *
	FROM json_to_recordset($3::json) AS item(key text, content text, message_id uuid)
) item
WHERE TRUE
ON CONFLICT (poster, key) DO UPDATE
SET content = excluded.content, message_id = excluded.message_id, expires_at = excluded.expires_at
WHERE held.expires_at <= $4
RETURNING key;

WITH message AS (
	INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
), logged AS (
	INSERT INTO notification_changes (kind, message_id, due_at)
	VALUES ($21, $22, $23)
)
INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT aud.value, $24::uuid, $25::smallint, $26::boolean, $27::boolean, $28::bigint
FROM (
	SELECT item.value::text AS value
	FROM json_array_elements_text($29::json) AS item(value)
) aud;
