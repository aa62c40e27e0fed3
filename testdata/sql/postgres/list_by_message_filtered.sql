SELECT msg.id, msg.poster, msg.origin, msg.title, msg.message, msg.topic, msg.link, msg.icon, msg.metadata,
	msg.actions, msg.scope, msg.updated_at, msg.expires_at, msg.severity
	+ CASE WHEN msg.is_system THEN 8 ELSE 0 END + CASE WHEN st.user_ref IS NULL THEN 0 ELSE 16 END
	+ CASE WHEN st.read_at IS NULL THEN 0 ELSE 32 END + CASE WHEN st.saved_at IS NULL THEN 0 ELSE 64 END
	+ CASE WHEN st.archived_at IS NULL THEN 0 ELSE 128 END, page.sort_key, tick.snapshot
FROM (SELECT CAST(pg_current_snapshot() AS text) AS snapshot LIMIT 1) tick
LEFT JOIN (
	SELECT page.message_id, page.sort_key
	FROM (
		SELECT DISTINCT del.message_id, (
			SELECT substr(msg.message_key, 1, 255)
			FROM notification_messages msg
			WHERE msg.id = del.message_id
		) AS sort_key
		FROM (
			SELECT del.message_id, del.system
			FROM (
				SELECT *
				FROM json_to_recordset($1::json) AS item(value text, since uuid)
				LIMIT 4
			) aud
			CROSS JOIN LATERAL (
				SELECT del.message_id, del.system
				FROM notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > (SELECT $2::bigint)
				AND (NOT del.scheduled OR del.message_id < (SELECT $3::uuid))
				AND del.message_id >= $4
				AND del.severity >= $5
				AND coalesce(
					(
						SELECT st.read_at IS NULL
						AND st.saved_at IS NULL
						AND st.archived_at IS NULL
						FROM notification_states st
						WHERE st.user_ref = $6
						AND st.message_id = del.message_id
					), TRUE
				)
				AND EXISTS (
					SELECT 1
					FROM notification_messages msg
					WHERE msg.id = del.message_id
					AND (msg.title_key ~ $7 OR msg.message_key ~ $8)
					AND msg.topic = $9
					AND msg.origin = $10
				)
				OFFSET 0
			) del
		) del
	) page
	ORDER BY page.sort_key DESC NULLS LAST, page.message_id DESC
	LIMIT 21 OFFSET 0
) page ON TRUE
LEFT JOIN notification_messages msg ON msg.id = page.message_id
LEFT JOIN notification_states st ON st.user_ref = $11
AND st.message_id = page.message_id
ORDER BY page.sort_key DESC NULLS LAST, page.message_id DESC;
