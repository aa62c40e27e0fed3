SELECT msg.id, msg.poster, msg.origin, msg.title, msg.message, msg.topic, msg.link, msg.icon, msg.metadata,
	msg.actions, msg.scope, msg.updated_at, msg.expires_at, msg.severity
	+ CASE WHEN msg.is_system THEN 8 ELSE 0 END + CASE WHEN page.user_ref IS NULL THEN 0 ELSE 16 END
	+ CASE WHEN page.read_at IS NULL THEN 0 ELSE 32 END
	+ CASE WHEN page.saved_at IS NULL THEN 0 ELSE 64 END
	+ CASE WHEN page.archived_at IS NULL THEN 0 ELSE 128 END, NULL, tick.snapshot
FROM (SELECT CAST(pg_current_snapshot() AS text) AS snapshot LIMIT 1) tick
LEFT JOIN (
	SELECT del.message_id, st.user_ref, st.read_at, st.saved_at, st.archived_at
	FROM (
		SELECT DISTINCT del.message_id
		FROM (
			SELECT del.message_id, del.system
			FROM (
				SELECT *
				FROM json_to_recordset($1::json) AS item(value text, since uuid)
				LIMIT 22
			) aud
			CROSS JOIN LATERAL (
				SELECT del.message_id, del.system
				FROM notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > (SELECT $2::bigint)
				AND (NOT del.scheduled OR del.message_id < (SELECT $3::uuid))
				AND coalesce(
					(
						SELECT st.read_at IS NOT NULL
						AND st.saved_at IS NOT NULL
						AND st.archived_at IS NOT NULL
						FROM notification_states st
						WHERE st.user_ref = $4
						AND st.message_id = del.message_id
					), FALSE
					AND FALSE
					AND FALSE
				)
				ORDER BY del.message_id DESC
				LIMIT 21 OFFSET 0
			) del
		) del
		ORDER BY del.message_id DESC
		LIMIT 21 OFFSET 0
	) del
	LEFT JOIN LATERAL (
		SELECT *
		FROM notification_states st
		WHERE st.user_ref = $5
		AND st.message_id = del.message_id
		OFFSET 0
	) st ON TRUE
) page ON TRUE
LEFT JOIN notification_messages msg ON msg.id = page.message_id
ORDER BY msg.id DESC;
