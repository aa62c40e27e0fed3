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
