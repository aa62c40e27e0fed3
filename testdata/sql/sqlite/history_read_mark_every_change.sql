INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at, CAST(NULL AS bigint) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET archived_at = NULL
WHERE held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = coalesce(held.saved_at, excluded.saved_at)
WHERE held.saved_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.saved_at IS NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, CAST(NULL AS bigint) AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT st.saved_at IS NOT NULL
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = NULL
WHERE held.saved_at IS NULL
OR held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		CAST(NULL AS bigint) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = NULL
WHERE held.saved_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		CAST(NULL AS bigint) AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.saved_at IS NOT NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?)) THEN coalesce(st.read_at, CAST(? AS bigint)) END AS read_at,
		CAST(NULL AS bigint) AS saved_at, CAST(NULL AS bigint) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE st.saved_at IS NOT NULL
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET saved_at = NULL, archived_at = NULL
WHERE held.saved_at IS NOT NULL
OR held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at)
WHERE held.read_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at, CAST(NULL AS bigint) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), archived_at = NULL
WHERE held.read_at IS NULL
OR held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = coalesce(held.saved_at, excluded.saved_at)
WHERE held.read_at IS NULL
OR held.saved_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = coalesce(held.saved_at, excluded.saved_at),
	archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NULL
OR held.saved_at IS NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at, CAST(NULL AS bigint) AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.saved_at IS NOT NULL
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = coalesce(held.saved_at, excluded.saved_at),
	archived_at = NULL
WHERE held.read_at IS NULL
OR held.saved_at IS NULL
OR held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		CAST(NULL AS bigint) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = NULL
WHERE held.read_at IS NULL
OR held.saved_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		CAST(NULL AS bigint) AS saved_at, coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NULL
OR held.saved_at IS NOT NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST(? AS bigint)) AS read_at,
		CAST(NULL AS bigint) AS saved_at, CAST(NULL AS bigint) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE NOT (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.saved_at IS NOT NULL
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = NULL, archived_at = NULL
WHERE held.read_at IS NULL
OR held.saved_at IS NOT NULL
OR held.archived_at IS NOT NULL;

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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL
WHERE held.read_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at,
		coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NOT NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST(? AS bigint)) END AS saved_at,
		CAST(NULL AS bigint) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, archived_at = NULL
WHERE held.read_at IS NOT NULL
OR held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at,
		CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST(? AS bigint)) END AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, saved_at = coalesce(held.saved_at, excluded.saved_at)
WHERE held.read_at IS NOT NULL
OR held.saved_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at,
		coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NOT NULL
OR held.saved_at IS NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, coalesce(st.saved_at, CAST(? AS bigint)) AS saved_at,
		CAST(NULL AS bigint) AS archived_at
	FROM (
		SELECT msg.id AS message_id, msg.is_system AS system
		FROM notification_messages msg
		WHERE msg.withdrawn_at IS NULL
		AND msg.id IN (
			SELECT del.message_id
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
					AND del.message_id IN (
						SELECT item.value AS value
						FROM json_each(?) item
					)
				) del
			) del
		)
		ORDER BY msg.id
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR NOT st.saved_at IS NOT NULL
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = NULL
WHERE held.read_at IS NOT NULL
OR held.saved_at IS NULL
OR held.archived_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CAST(NULL AS bigint) AS saved_at,
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.saved_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, saved_at = NULL
WHERE held.read_at IS NOT NULL
OR held.saved_at IS NOT NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CAST(NULL AS bigint) AS saved_at,
		coalesce(st.archived_at, CAST(? AS bigint)) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.saved_at IS NOT NULL
	OR NOT st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, saved_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
WHERE held.read_at IS NOT NULL
OR held.saved_at IS NOT NULL
OR held.archived_at IS NULL;

INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
FROM (
	SELECT CAST(? AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CAST(NULL AS bigint) AS saved_at,
		CAST(NULL AS bigint) AS archived_at
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
			AND del.message_id IN (
				SELECT item.value AS value
				FROM json_each(?) item
			)
		) del
	) del
	LEFT JOIN notification_states st ON st.user_ref = ?
	AND st.message_id = del.message_id
	WHERE (st.read_at IS NOT NULL OR (st.user_ref IS NULL AND del.system AND del.message_id < ?))
	OR st.saved_at IS NOT NULL
	OR st.archived_at IS NOT NULL
	ORDER BY del.message_id
) page
WHERE TRUE
ON CONFLICT (user_ref, message_id) DO UPDATE
SET read_at = NULL, saved_at = NULL, archived_at = NULL
WHERE held.read_at IS NOT NULL
OR held.saved_at IS NOT NULL
OR held.archived_at IS NOT NULL;
