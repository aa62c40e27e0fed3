INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audience_list, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT aud.value, ?, ?, ?, ?, ?
FROM (
	SELECT item.value AS value
	FROM json_each(?) item
) aud;

INSERT INTO notification_changes (kind, message_id, due_at)
VALUES (?, ?, ?);
