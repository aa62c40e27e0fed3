INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
SELECT id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system,
	audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key
FROM (
	SELECT item.value ->> 'id' AS id, item.value ->> 'poster' AS poster, item.value ->> 'origin' AS origin,
		item.value ->> 'title' AS title, item.value ->> 'message' AS message, item.value ->> 'topic' AS topic,
		item.value ->> 'severity' AS severity, item.value ->> 'link' AS link, item.value ->> 'icon' AS icon,
		item.value ->> 'metadata' AS metadata, item.value ->> 'actions' AS actions, item.value ->> 'is_system' AS is_system,
		item.value ->> 'audience_list' AS audience_list, item.value ->> 'scope' AS scope, item.value ->> 'expires_at' AS expires_at,
		item.value ->> 'scheduled' AS scheduled, item.value ->> 'origin_key' AS origin_key, item.value ->> 'title_key' AS title_key,
		item.value ->> 'message_key' AS message_key, item.value ->> 'topic_key' AS topic_key
	FROM json_each(?) item
) item;

INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT audience, message_id, severity, scheduled, system, expires_at
FROM (
	SELECT item.value ->> 'message_id' AS message_id, item.value ->> 'severity' AS severity, item.value ->> 'scheduled' AS scheduled,
		item.value ->> 'system' AS system, item.value ->> 'expires_at' AS expires_at, item.value ->> 'audience' AS audience
	FROM json_each(?) item
) item;

INSERT INTO notification_changes (kind, message_id, user_ref, audiences, due_at)
SELECT kind, message_id, user_ref, audiences, due_at
FROM (
	SELECT item.value ->> 'kind' AS kind, item.value ->> 'message_id' AS message_id, item.value ->> 'user_ref' AS user_ref,
		item.value ->> 'audiences' AS audiences, item.value ->> 'due_at' AS due_at
	FROM json_each(?) item
) item;
