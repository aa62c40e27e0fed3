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

SELECT msg.id, msg.poster, msg.origin, msg.title, msg.message, msg.topic, msg.link, msg.icon, msg.metadata,
	msg.actions, msg.scope, msg.updated_at, msg.expires_at, msg.severity
	+ CASE WHEN msg.is_system THEN 8 ELSE 0 END + CASE WHEN st.user_ref IS NULL THEN 0 ELSE 16 END
	+ CASE WHEN st.read_at IS NULL THEN 0 ELSE 32 END + CASE WHEN st.saved_at IS NULL THEN 0 ELSE 64 END
	+ CASE WHEN st.archived_at IS NULL THEN 0 ELSE 128 END, msg.audience_list, ''
FROM notification_messages msg
LEFT JOIN notification_states st ON FALSE
WHERE msg.withdrawn_at IS NULL
AND msg.id IN (
	SELECT item.value::uuid AS value
	FROM json_array_elements_text($1::json) AS item(value)
);
