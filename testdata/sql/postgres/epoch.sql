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

UPDATE notification_epoch
SET identity = $1, nonce = $2
WHERE identity = $3
AND nonce = $4;

DELETE FROM notification_changes;

DELETE FROM notification_ticks;

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

INSERT INTO notification_ticks (snapshot, at, nonce)
SELECT CAST(pg_current_snapshot() AS text), CAST($1 AS bigint), CAST($2 AS text)
WHERE (
	(
		SELECT ch.xact
		FROM notification_changes ch
		ORDER BY ch.xact DESC
		LIMIT 1
	) >= CAST(CAST($3 AS text) AS xid8)
	OR EXISTS (
		SELECT 1
		FROM notification_changes ch
		WHERE ch.xact = ANY (CAST(CAST($4 AS text) AS xid8[]))
	)
);

SELECT CAST(tick.snapshot AS text)
FROM notification_ticks tick
WHERE tick.at <= $1
ORDER BY tick.at DESC
LIMIT 1;
