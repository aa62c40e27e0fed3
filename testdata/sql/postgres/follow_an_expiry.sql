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

SELECT msg.id
FROM notification_messages msg
WHERE (msg.expires_at > $1 OR msg.expires_at IS NULL)
AND msg.id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($2::json) AS item(value)
);
