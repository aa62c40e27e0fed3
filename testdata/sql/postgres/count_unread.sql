SELECT count(DISTINCT del.message_id) FILTER (WHERE CASE WHEN st.message_id IS NULL THEN TRUE ELSE st.read_at IS NULL AND st.archived_at IS NULL END),
	CAST(pg_current_snapshot() AS text) AS seen
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
