SELECT count(DISTINCT del.message_id) FILTER (WHERE CASE WHEN st.message_id IS NULL THEN FALSE AND FALSE AND FALSE ELSE st.read_at IS NOT NULL AND st.saved_at IS NOT NULL AND st.archived_at IS NOT NULL END),
	CAST(coalesce(
	(
		SELECT seq
		FROM sqlite_sequence
		WHERE name = 'notification_changes'
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
