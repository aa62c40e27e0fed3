WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($2 AS bigint)) END AS saved_at,
			CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($3 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL
	WHERE held.read_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;
