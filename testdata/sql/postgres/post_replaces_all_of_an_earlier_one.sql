INSERT INTO notification_scopes (poster, origin, scope, used_at)
SELECT CAST($1 AS text), item.origin, item.scope, CAST($2 AS bigint)
FROM (
	SELECT *
	FROM json_to_recordset($3::json) AS item(origin text, scope text)
) item
WHERE TRUE
ON CONFLICT (poster, origin, scope) DO UPDATE
SET used_at = excluded.used_at;

SELECT msg.id, msg.audience_list, msg.expires_at
FROM notification_messages msg
WHERE msg.poster = $1
AND msg.origin = $2
AND msg.scope = $3
AND msg.withdrawn_at IS NULL
ORDER BY msg.id
FOR NO KEY UPDATE;

UPDATE notification_messages
SET audience_list = $1, replaced_by = $2, withdrawn_at = coalesce(withdrawn_at, $3)
WHERE id = $4;

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
