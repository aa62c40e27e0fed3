SELECT epoch.identity, concat_ws(' ', (
	SELECT system_identifier
	FROM pg_control_system()
), left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), CAST(to_regclass('notification_changes') AS oid)) AS present,
	epoch.nonce, coalesce(CAST(tick.snapshot AS text), '') AS snapshot, coalesce(tick.nonce, '') AS tick
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
FROM (SELECT CAST(pg_current_snapshot() AS text) AS snapshot) tick
LEFT JOIN (
	SELECT ch.xact::text::bigint AS number, ch.kind, ch.message_id, ch.user_ref, ch.audiences
	FROM notification_changes ch
	WHERE (ch.xact >= CAST(CAST($1 AS text) AS xid8) OR ch.xact = ANY (CAST(CAST($2 AS text) AS xid8[])))
	LIMIT 50001
) ch ON TRUE
LEFT JOIN notification_messages msg ON msg.id = ch.message_id
ORDER BY ch.number, ch.kind;

SELECT msg.id AS message_id, msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at,
	msg.withdrawn_at
FROM notification_messages msg
WHERE msg.expires_at >= $1
AND msg.expires_at < $2
AND msg.withdrawn_at IS NULL
ORDER BY msg.expires_at
LIMIT 50001;

SELECT msg.id AS message_id, msg.audience_list, msg.severity, msg.topic, msg.origin, msg.scheduled, msg.expires_at,
	msg.withdrawn_at
FROM notification_messages msg
WHERE msg.id >= $1
AND msg.id < $2
AND msg.scheduled
AND msg.withdrawn_at IS NULL
ORDER BY msg.id
LIMIT 50001;
