SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = $1
AND expires_at > $2
AND key IN (
	SELECT item.value::text AS value
	FROM json_array_elements_text($3::json) AS item(value)
);

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

SELECT key, content, message_id
FROM notification_idempotency_keys
WHERE poster = $1
AND expires_at > $2
AND key IN (
	SELECT item.value::text AS value
	FROM json_array_elements_text($3::json) AS item(value)
);

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
	SELECT id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system,
		audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key
	FROM (
		SELECT *
		FROM json_to_recordset($1::json) AS item(id uuid, poster text, origin text, title text, message text, topic text, severity smallint, link text, icon text, metadata text, actions text, is_system boolean, audience_list text, scope text, expires_at bigint, scheduled boolean, origin_key text, title_key text, message_key text, topic_key text)
	) item
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
	SELECT kind, message_id, user_ref, audiences, due_at
	FROM (
		SELECT *
		FROM json_to_recordset($2::json) AS item(kind smallint, message_id uuid, user_ref text, audiences text, due_at bigint)
	) item
)
INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT audience, message_id, severity, scheduled, system, expires_at
FROM (
	SELECT *
	FROM json_to_recordset($3::json) AS item(message_id uuid, severity smallint, scheduled boolean, system boolean, expires_at bigint, audience text)
) item;
