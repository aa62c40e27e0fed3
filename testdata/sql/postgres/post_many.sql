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
