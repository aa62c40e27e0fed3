UPDATE notification_scopes
SET used_at = used_at
WHERE FALSE;

SELECT epoch.identity, '' AS present, epoch.nonce, CAST(coalesce(
	(
		SELECT seq
		FROM sqlite_sequence
		WHERE name = 'notification_changes'
	), 0
) AS text) AS latest, coalesce(
	(
		SELECT CAST(tick.snapshot AS text)
		FROM notification_ticks tick
		WHERE tick.at < ?
		ORDER BY tick.at DESC
		LIMIT 1
	), ''
) AS oldest, TRUE
AND NOT EXISTS (
	SELECT 1
	FROM notification_ticks tick
	WHERE tick.at > ?
	AND tick.snapshot < ?
) AS continues
FROM notification_epoch epoch;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at,
		CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
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
			AND coalesce(
				(
					SELECT st.archived_at IS NULL
					FROM notification_states st
					WHERE st.user_ref = ?
					AND st.message_id = del.message_id
				), TRUE
			)
		) del
		WHERE del.message_id NOT IN (
			SELECT ch.message_id
			FROM notification_changes ch
			WHERE ch.kind IN (1, 2)
			AND ch.seq >= ?
		)
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL)
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL
WHERE held.read_at IS NOT NULL;

INSERT INTO notification_changes (kind, message_id, user_ref)
VALUES (?, ?, ?);
