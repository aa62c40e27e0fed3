SELECT epoch.identity, '' AS present, epoch.nonce, coalesce(CAST(tick.snapshot AS text), '') AS snapshot,
	coalesce(tick.nonce, '') AS tick
FROM notification_epoch epoch
LEFT JOIN (
	SELECT tick.snapshot, tick.nonce
	FROM notification_ticks tick
	ORDER BY tick.at DESC
	LIMIT 1
) tick ON TRUE;

UPDATE notification_epoch
SET identity = ?, nonce = ?
WHERE identity = ?
AND nonce = ?;

DELETE FROM notification_changes;

DELETE FROM notification_ticks;

SELECT epoch.identity, '' AS present, epoch.nonce, coalesce(CAST(tick.snapshot AS text), '') AS snapshot,
	coalesce(tick.nonce, '') AS tick
FROM notification_epoch epoch
LEFT JOIN (
	SELECT tick.snapshot, tick.nonce
	FROM notification_ticks tick
	ORDER BY tick.at DESC
	LIMIT 1
) tick ON TRUE;

INSERT INTO notification_ticks (snapshot, at, nonce)
SELECT coalesce(
	(
		SELECT seq
		FROM sqlite_sequence
		WHERE name = 'notification_changes'
	), 0
), CAST(? AS bigint), CAST(? AS text)
WHERE EXISTS (
	SELECT 1
	FROM notification_changes ch
	WHERE ch.seq >= ?
);

SELECT CAST(tick.snapshot AS text)
FROM notification_ticks tick
WHERE tick.at <= ?
ORDER BY tick.at DESC
LIMIT 1;
