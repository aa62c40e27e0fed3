SELECT epoch.identity, '' AS present, epoch.nonce, coalesce(CAST(tick.snapshot AS text), '') AS snapshot,
	coalesce(tick.nonce, '') AS tick
FROM notification_epoch epoch
LEFT JOIN (
	SELECT tick.snapshot, tick.nonce
	FROM notification_ticks tick
	ORDER BY tick.at DESC
	LIMIT 1
) tick ON TRUE;

SELECT CAST(tick.snapshot AS text) AS snapshot, tick.at, tick.nonce
FROM notification_ticks tick
ORDER BY tick.at;

SELECT tick.snapshot, ch.number, coalesce(ch.kind, 0) AS kind, ch.message_id, ch.user_ref, ch.audiences,
	msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at, msg.withdrawn_at
FROM (
	SELECT CAST(coalesce(
		(
			SELECT seq
			FROM sqlite_sequence
			WHERE name = 'notification_changes'
		), 0
	) AS text) AS snapshot
) tick
LEFT JOIN (
	SELECT ch.seq AS number, ch.kind, ch.message_id, ch.user_ref, ch.audiences
	FROM notification_changes ch
	WHERE ch.seq >= ?
	LIMIT 50001
) ch ON TRUE
LEFT JOIN notification_messages msg ON msg.id = ch.message_id
ORDER BY ch.number, ch.kind;

SELECT msg.id AS message_id, msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at,
	msg.withdrawn_at
FROM notification_messages msg
WHERE msg.expires_at >= ?
AND msg.expires_at < ?
AND msg.withdrawn_at IS NULL
ORDER BY msg.expires_at
LIMIT 50001;

SELECT msg.id AS message_id, msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at,
	msg.withdrawn_at
FROM notification_messages msg
WHERE msg.id >= ?
AND msg.id < ?
AND msg.scheduled
AND msg.withdrawn_at IS NULL
ORDER BY msg.id
LIMIT 50001;
