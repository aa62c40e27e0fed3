SELECT epoch.identity, concat_ws(' ', (
	SELECT system_identifier
	FROM pg_control_system()
), left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), CAST(to_regclass('notification_changes') AS oid)) AS present,
	epoch.nonce, CAST(pg_current_snapshot() AS text) AS latest, coalesce(
	(
		SELECT CAST(tick.snapshot AS text)
		FROM notification_ticks tick
		WHERE tick.at < $1
		ORDER BY tick.at DESC
		LIMIT 1
	), ''
) AS oldest, TRUE AS continues
FROM notification_epoch epoch;

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
					AND coalesce(
						(
							SELECT st.archived_at IS NULL
							FROM notification_states st
							WHERE st.user_ref = $7
							AND st.message_id = del.message_id
						), TRUE
					)
					OFFSET 0
				) del
			) del
			WHERE NOT EXISTS (
				SELECT 1
				FROM notification_changes ch
				WHERE ch.message_id = del.message_id
				AND ch.kind IN (1, 2)
				AND (ch.xact >= CAST(CAST($8 AS text) AS xid8) OR ch.xact = ANY (CAST(CAST($9 AS text) AS xid8[])))
			)
		) del
		LEFT JOIN notification_states st ON st.user_ref = $10
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
	SELECT $11::smallint, $12::uuid, $13::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;
