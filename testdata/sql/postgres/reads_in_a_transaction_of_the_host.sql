SELECT msg.id, msg.poster, msg.origin, msg.title, msg.message, msg.topic, msg.link, msg.icon, msg.metadata,
	msg.actions, msg.scope, msg.updated_at, msg.expires_at, msg.severity
	+ CASE WHEN msg.is_system THEN 8 ELSE 0 END + CASE WHEN page.user_ref IS NULL THEN 0 ELSE 16 END
	+ CASE WHEN page.read_at IS NULL THEN 0 ELSE 32 END
	+ CASE WHEN page.saved_at IS NULL THEN 0 ELSE 64 END
	+ CASE WHEN page.archived_at IS NULL THEN 0 ELSE 128 END, NULL, tick.snapshot
FROM (SELECT concat_ws(' ', pg_current_snapshot(), pg_current_xact_id_if_assigned()) AS snapshot LIMIT 1) tick
LEFT JOIN (
	SELECT del.message_id, st.user_ref, st.read_at, st.saved_at, st.archived_at
	FROM (
		SELECT DISTINCT ON (found.message_id) found.message_id, found.system
		FROM (
			(
				SELECT del.message_id, del.system
				FROM (SELECT (SELECT $1::text) AS value, (SELECT $2::uuid) AS since) aud
				CROSS JOIN notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > (SELECT $3::bigint)
				AND (NOT del.scheduled OR del.message_id < (SELECT $4::uuid))
				ORDER BY del.message_id DESC
				OFFSET 0
			)
			UNION ALL (
				SELECT del.message_id, del.system
				FROM (SELECT (SELECT $5::text) AS value, (SELECT $6::uuid) AS since) aud
				CROSS JOIN notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > (SELECT $3::bigint)
				AND (NOT del.scheduled OR del.message_id < (SELECT $4::uuid))
				ORDER BY del.message_id DESC
				OFFSET 0
			)
			UNION ALL (
				SELECT del.message_id, del.system
				FROM (SELECT (SELECT $7::text) AS value, (SELECT $8::uuid) AS since) aud
				CROSS JOIN notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > (SELECT $3::bigint)
				AND (NOT del.scheduled OR del.message_id < (SELECT $4::uuid))
				ORDER BY del.message_id DESC
				OFFSET 0
			)
			UNION ALL (
				SELECT del.message_id, del.system
				FROM (SELECT (SELECT $9::text) AS value, (SELECT $10::uuid) AS since) aud
				CROSS JOIN notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > (SELECT $3::bigint)
				AND (NOT del.scheduled OR del.message_id < (SELECT $4::uuid))
				ORDER BY del.message_id DESC
				OFFSET 0
			)
		) found
		ORDER BY found.message_id DESC
	) del
	LEFT JOIN LATERAL (
		SELECT *
		FROM notification_states st
		WHERE st.user_ref = $11
		AND st.message_id = del.message_id
		OFFSET 0
	) st ON TRUE
	WHERE CASE WHEN st.message_id IS NULL THEN TRUE ELSE st.archived_at IS NULL END
	ORDER BY del.message_id DESC
	LIMIT 21 OFFSET 0
) page ON TRUE
LEFT JOIN notification_messages msg ON msg.id = page.message_id
ORDER BY msg.id DESC;

SELECT count(DISTINCT del.message_id) FILTER (WHERE CASE WHEN st.message_id IS NULL THEN TRUE ELSE st.archived_at IS NULL END),
	concat_ws(' ', pg_current_snapshot(), pg_current_xact_id_if_assigned()) AS seen
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
		OFFSET 0
	) del
) del
FULL JOIN (
	SELECT *
	FROM notification_states
	WHERE user_ref = $4
) st ON st.message_id = del.message_id;

SELECT count(DISTINCT del.message_id) FILTER (WHERE TRUE), concat_ws(' ', pg_current_snapshot(), pg_current_xact_id_if_assigned()) AS seen
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
		OFFSET 0
	) del
) del;

SELECT count(DISTINCT del.message_id) FILTER (WHERE CASE WHEN st.message_id IS NULL THEN FALSE AND FALSE AND FALSE ELSE st.read_at IS NOT NULL AND st.saved_at IS NOT NULL AND st.archived_at IS NOT NULL END),
	concat_ws(' ', pg_current_snapshot(), pg_current_xact_id_if_assigned()) AS seen
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
		OFFSET 0
	) del
) del
FULL JOIN (
	SELECT *
	FROM notification_states
	WHERE user_ref = $4
) st ON st.message_id = del.message_id;

SELECT count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND NOT (st.read_at IS NOT NULL)) AS unread,
	count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND (st.read_at IS NOT NULL)) AS read,
	count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND st.saved_at IS NOT NULL) AS saved,
	count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NOT NULL) AS archived, concat_ws(' ', pg_current_snapshot(), pg_current_xact_id_if_assigned()) AS seen
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
		OFFSET 0
	) del
) del
FULL JOIN (
	SELECT *
	FROM notification_states
	WHERE user_ref = $4
) st ON st.message_id = del.message_id;
