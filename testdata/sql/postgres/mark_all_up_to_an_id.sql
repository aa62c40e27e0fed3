WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($3 AS bigint)) END AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($4 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($5::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $6::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
					AND del.message_id <= $8
					AND coalesce(
						(
							SELECT st.archived_at IS NULL
							FROM notification_states st
							WHERE st.user_ref = $9
							AND st.message_id = del.message_id
						), TRUE
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $10
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at)
	WHERE held.read_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $11::smallint, $12::uuid, $13::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;
