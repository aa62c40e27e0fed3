INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
					AND del.message_id >= ?
					AND del.severity >= ?
					AND coalesce(
						(
							SELECT st.read_at IS NULL
							AND st.saved_at IS NULL
							AND st.archived_at IS NULL
							FROM notification_states st
							WHERE st.user_ref = ?
							AND st.message_id = del.message_id
						), TRUE
					)
					AND EXISTS (
						SELECT 1
						FROM notification_messages msg
						WHERE msg.id = del.message_id
						AND (instr(msg.title_key, ?) > 0 OR instr(msg.message_key, ?) > 0)
						AND msg.topic = ?
						AND msg.origin = ?
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL)
	OR NOT st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = coalesce(held.saved_at, excluded.saved_at),
	archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NULL
OR held.saved_at IS NULL
OR held.archived_at IS NULL;
