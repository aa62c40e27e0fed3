SELECT msg.id, msg.poster, msg.origin, msg.title, msg.message, msg.topic, msg.link, msg.icon, msg.metadata,
	msg.actions, msg.scope, msg.updated_at, msg.expires_at, msg.severity
	+ CASE WHEN msg.is_system THEN 8 ELSE 0 END + CASE WHEN page.user_ref IS NULL THEN 0 ELSE 16 END
	+ CASE WHEN page.read_at IS NULL THEN 0 ELSE 32 END
	+ CASE WHEN page.saved_at IS NULL THEN 0 ELSE 64 END
	+ CASE WHEN page.archived_at IS NULL THEN 0 ELSE 128 END, NULL, tick.snapshot
FROM (
	SELECT CAST(coalesce(
		(
			SELECT tick.snapshot
			FROM notification_ticks tick
			ORDER BY tick.at DESC
			LIMIT 1
		), 0
	) AS text) AS snapshot
	LIMIT 1
) tick
LEFT JOIN (
	SELECT del.message_id, st.user_ref, st.read_at, st.saved_at, st.archived_at
	FROM (
		SELECT DISTINCT del.message_id
		FROM (
			SELECT del.message_id, del.system
			FROM (
				SELECT item.value ->> 'value' AS value, item.value ->> 'since' AS since
				FROM json_each(?) item
			) aud
			CROSS JOIN notification_deliveries del ON del.audience = aud.value
			AND del.message_id IN (
				SELECT del.message_id
				FROM notification_deliveries del
				WHERE del.audience = aud.value
				AND del.message_id >= aud.since
				AND del.expires_at > ?
				AND (NOT del.scheduled OR del.message_id < ?)
				AND coalesce(
					(
						SELECT st.archived_at IS NULL
						FROM notification_states st
						WHERE st.user_ref = ?
						AND st.message_id = del.message_id
					), TRUE
				)
				ORDER BY del.message_id DESC
				LIMIT 21
			)
		) del
		ORDER BY del.message_id DESC
		LIMIT 21 OFFSET 0
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
) page ON TRUE
LEFT JOIN notification_messages msg ON msg.id = page.message_id
ORDER BY msg.id DESC;

SELECT count(DISTINCT del.message_id) FILTER (WHERE CASE WHEN st.message_id IS NULL THEN TRUE ELSE st.archived_at IS NULL END),
	CAST(coalesce(
	(
		SELECT tick.snapshot
		FROM notification_ticks tick
		ORDER BY tick.at DESC
		LIMIT 1
	), 0
) AS text) AS seen
FROM (
	SELECT del.message_id, del.system
	FROM (
		SELECT item.value ->> 'value' AS value, item.value ->> 'since' AS since
		FROM json_each(?) item
	) aud
	CROSS JOIN notification_deliveries del ON del.audience = aud.value
	AND del.message_id >= aud.since
	AND del.expires_at > ?
	AND (NOT del.scheduled OR del.message_id < ?)
) del
LEFT JOIN notification_states st ON st.user_ref = ?
AND st.message_id = del.message_id;

SELECT count(DISTINCT del.message_id) FILTER (WHERE TRUE), CAST(coalesce(
	(
		SELECT tick.snapshot
		FROM notification_ticks tick
		ORDER BY tick.at DESC
		LIMIT 1
	), 0
) AS text) AS seen
FROM (
	SELECT del.message_id, del.system
	FROM (
		SELECT item.value ->> 'value' AS value, item.value ->> 'since' AS since
		FROM json_each(?) item
	) aud
	CROSS JOIN notification_deliveries del ON del.audience = aud.value
	AND del.message_id >= aud.since
	AND del.expires_at > ?
	AND (NOT del.scheduled OR del.message_id < ?)
) del;

SELECT count(DISTINCT del.message_id) FILTER (WHERE CASE WHEN st.message_id IS NULL THEN FALSE AND FALSE AND FALSE ELSE st.read_at IS NOT NULL AND st.saved_at IS NOT NULL AND st.archived_at IS NOT NULL END),
	CAST(coalesce(
	(
		SELECT tick.snapshot
		FROM notification_ticks tick
		ORDER BY tick.at DESC
		LIMIT 1
	), 0
) AS text) AS seen
FROM (
	SELECT del.message_id, del.system
	FROM (
		SELECT item.value ->> 'value' AS value, item.value ->> 'since' AS since
		FROM json_each(?) item
	) aud
	CROSS JOIN notification_deliveries del ON del.audience = aud.value
	AND del.message_id >= aud.since
	AND del.expires_at > ?
	AND (NOT del.scheduled OR del.message_id < ?)
) del
LEFT JOIN notification_states st ON st.user_ref = ?
AND st.message_id = del.message_id;

SELECT count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND NOT (st.read_at IS NOT NULL)) AS unread,
	count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND (st.read_at IS NOT NULL)) AS read,
	count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NULL AND st.saved_at IS NOT NULL) AS saved,
	count(DISTINCT del.message_id) FILTER (WHERE st.archived_at IS NOT NULL) AS archived, CAST(coalesce(
	(
		SELECT tick.snapshot
		FROM notification_ticks tick
		ORDER BY tick.at DESC
		LIMIT 1
	), 0
) AS text) AS seen
FROM (
	SELECT del.message_id, del.system
	FROM (
		SELECT item.value ->> 'value' AS value, item.value ->> 'since' AS since
		FROM json_each(?) item
	) aud
	CROSS JOIN notification_deliveries del ON del.audience = aud.value
	AND del.message_id >= aud.since
	AND del.expires_at > ?
	AND (NOT del.scheduled OR del.message_id < ?)
) del
LEFT JOIN notification_states st ON st.user_ref = ?
AND st.message_id = del.message_id;
