WITH page AS (
	SELECT msg.topic, msg.origin, CASE WHEN (st.read_at IS NOT NULL) THEN 0 ELSE 1 END AS unread
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
	) del
	JOIN notification_messages msg ON msg.id = del.message_id
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
)
SELECT *
FROM (
	SELECT 'topic' AS kind, page.topic AS name, sum(page.unread) AS unread, count(*) AS total
	FROM page
	WHERE page.topic IS NOT NULL
	GROUP BY page.topic
	ORDER BY unread DESC, total DESC, name
	LIMIT 1000
) topics
UNION ALL
SELECT *
FROM (
	SELECT 'origin' AS kind, page.origin AS name, sum(page.unread) AS unread, count(*) AS total
	FROM page
	WHERE page.origin IS NOT NULL
	GROUP BY page.origin
	ORDER BY unread DESC, total DESC, name
	LIMIT 1000
) origins;
