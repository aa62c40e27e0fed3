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
SET updated_at = $1, title = $2, message = $3, topic = $4, severity = $5, link = $6, icon = $7, metadata = $8,
	actions = $9, expires_at = $10, title_key = $11, message_key = $12, topic_key = $13
WHERE id = $14;

UPDATE notification_deliveries
SET severity = $1, expires_at = $2
WHERE message_id = $3
AND audience IN (
	SELECT item.value::text AS value
	FROM json_array_elements_text($4::json) AS item(value)
);

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT *
	FROM json_to_recordset($1::json) AS item(kind smallint, message_id uuid, user_ref text, audiences text, due_at bigint)
) item;
