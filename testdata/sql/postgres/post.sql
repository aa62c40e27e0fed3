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
