INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
			FROM (
				SELECT DISTINCT del.message_id, del.system
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = coalesce(held.saved_at, excluded.saved_at)
WHERE held.saved_at IS NULL;
