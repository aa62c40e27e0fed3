WITH message AS (
	INSERT INTO notification_messages (id, poster, origin, title, message, topic, severity, link, icon, metadata, actions, is_system, audiences, scope, expires_at, scheduled, origin_key, title_key, message_key, topic_key)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
)
INSERT INTO notification_deliveries (audience, message_id, severity, scheduled, system, expires_at)
SELECT aud.value, $21::uuid, $22::smallint, $23::boolean, $24::boolean, $25::bigint
FROM (
	SELECT item.value::text AS value
	FROM json_array_elements_text($26::json) AS item(value)
) aud;
