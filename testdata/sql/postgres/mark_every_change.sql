WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($3 AS bigint)) END AS saved_at, coalesce(st.archived_at, CAST($4 AS bigint)) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($5::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $6::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($8::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($3 AS bigint)) END AS saved_at, CAST(NULL AS bigint) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET archived_at = NULL
	WHERE held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			coalesce(st.saved_at, CAST($3 AS bigint)) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($4 AS bigint)) END AS archived_at
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
							SELECT *
							FROM json_to_recordset($5::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $6::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($8::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT st.saved_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET saved_at = coalesce(held.saved_at, excluded.saved_at)
	WHERE held.saved_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			coalesce(st.saved_at, CAST($3 AS bigint)) AS saved_at, coalesce(st.archived_at, CAST($4 AS bigint)) AS archived_at
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
							SELECT *
							FROM json_to_recordset($5::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $6::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($8::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT st.saved_at IS NOT NULL
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.saved_at IS NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			coalesce(st.saved_at, CAST($3 AS bigint)) AS saved_at, CAST(NULL AS bigint) AS archived_at
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
							SELECT *
							FROM json_to_recordset($4::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $5::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($7::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE NOT st.saved_at IS NOT NULL
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = NULL
	WHERE held.saved_at IS NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			CAST(NULL AS bigint) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($3 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE st.saved_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET saved_at = NULL
	WHERE held.saved_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			CAST(NULL AS bigint) AS saved_at, coalesce(st.archived_at, CAST($3 AS bigint)) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE st.saved_at IS NOT NULL
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET saved_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.saved_at IS NOT NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CASE WHEN (st.read_at IS NOT NULL) THEN coalesce(st.read_at, CAST($2 AS bigint)) END AS read_at,
			CAST(NULL AS bigint) AS saved_at, CAST(NULL AS bigint) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($3::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $4::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $5::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($6::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $7
		AND st.message_id = del.message_id
		WHERE st.saved_at IS NOT NULL
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET saved_at = NULL, archived_at = NULL
	WHERE held.saved_at IS NOT NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $8::smallint, $9::uuid, $10::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($3 AS bigint)) END AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($4 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($5::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $6::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($8::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at)
	WHERE held.read_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($3 AS bigint)) END AS saved_at, coalesce(st.archived_at, CAST($4 AS bigint)) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($5::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $6::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($8::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at), archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.read_at IS NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($3 AS bigint)) END AS saved_at, CAST(NULL AS bigint) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at), archived_at = NULL
	WHERE held.read_at IS NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			coalesce(st.saved_at, CAST($3 AS bigint)) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($4 AS bigint)) END AS archived_at
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
							SELECT *
							FROM json_to_recordset($5::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $6::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($8::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		OR NOT st.saved_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = coalesce(held.saved_at, excluded.saved_at)
	WHERE held.read_at IS NULL
	OR held.saved_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			coalesce(st.saved_at, CAST($3 AS bigint)) AS saved_at, coalesce(st.archived_at, CAST($4 AS bigint)) AS archived_at
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
							SELECT *
							FROM json_to_recordset($5::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $6::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $7::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($8::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $9
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
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
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $10::smallint, $11::uuid, $12::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			coalesce(st.saved_at, CAST($3 AS bigint)) AS saved_at, CAST(NULL AS bigint) AS archived_at
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
							SELECT *
							FROM json_to_recordset($4::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $5::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($7::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
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
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CAST(NULL AS bigint) AS saved_at, CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($3 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		OR st.saved_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = NULL
	WHERE held.read_at IS NULL
	OR held.saved_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CAST(NULL AS bigint) AS saved_at, coalesce(st.archived_at, CAST($3 AS bigint)) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		OR st.saved_at IS NOT NULL
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.read_at IS NULL
	OR held.saved_at IS NOT NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, coalesce(st.read_at, CAST($2 AS bigint)) AS read_at,
			CAST(NULL AS bigint) AS saved_at, CAST(NULL AS bigint) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($3::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $4::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $5::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($6::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $7
		AND st.message_id = del.message_id
		WHERE NOT (st.read_at IS NOT NULL)
		OR st.saved_at IS NOT NULL
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = coalesce(held.read_at, excluded.read_at), saved_at = NULL, archived_at = NULL
	WHERE held.read_at IS NULL
	OR held.saved_at IS NOT NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $8::smallint, $9::uuid, $10::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($2 AS bigint)) END AS saved_at,
			CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($3 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL
	WHERE held.read_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($2 AS bigint)) END AS saved_at,
			coalesce(st.archived_at, CAST($3 AS bigint)) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($4::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $5::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($7::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.read_at IS NOT NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CASE WHEN st.saved_at IS NOT NULL THEN coalesce(st.saved_at, CAST($2 AS bigint)) END AS saved_at,
			CAST(NULL AS bigint) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($3::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $4::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $5::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($6::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $7
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, archived_at = NULL
	WHERE held.read_at IS NOT NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $8::smallint, $9::uuid, $10::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, coalesce(st.saved_at, CAST($2 AS bigint)) AS saved_at,
			CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($3 AS bigint)) END AS archived_at
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
							SELECT *
							FROM json_to_recordset($4::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $5::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($7::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR NOT st.saved_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, saved_at = coalesce(held.saved_at, excluded.saved_at)
	WHERE held.read_at IS NOT NULL
	OR held.saved_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, coalesce(st.saved_at, CAST($2 AS bigint)) AS saved_at,
			coalesce(st.archived_at, CAST($3 AS bigint)) AS archived_at
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
							SELECT *
							FROM json_to_recordset($4::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $5::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $6::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($7::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $8
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR NOT st.saved_at IS NOT NULL
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.read_at IS NOT NULL
	OR held.saved_at IS NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $9::smallint, $10::uuid, $11::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, coalesce(st.saved_at, CAST($2 AS bigint)) AS saved_at,
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
							SELECT *
							FROM json_to_recordset($3::json) AS item(value text, since uuid)
							LIMIT 4
						) aud
						CROSS JOIN LATERAL (
							SELECT del.message_id, del.system
							FROM notification_deliveries del
							WHERE del.audience = aud.value
							AND del.message_id >= aud.since
							AND del.expires_at > (SELECT $4::bigint)
							AND (NOT del.scheduled OR del.message_id < (SELECT $5::uuid))
							AND del.message_id IN (
								SELECT item.value::uuid AS value
								FROM json_array_elements_text($6::json) AS item(value)
							)
							OFFSET 0
						) del
					) del
				) del
			)
			ORDER BY msg.id
			FOR KEY SHARE
		) del
		LEFT JOIN notification_states st ON st.user_ref = $7
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR NOT st.saved_at IS NOT NULL
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, saved_at = coalesce(held.saved_at, excluded.saved_at), archived_at = NULL
	WHERE held.read_at IS NOT NULL
	OR held.saved_at IS NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $8::smallint, $9::uuid, $10::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CAST(NULL AS bigint) AS saved_at,
			CASE WHEN st.archived_at IS NOT NULL THEN coalesce(st.archived_at, CAST($2 AS bigint)) END AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($3::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $4::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $5::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($6::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $7
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR st.saved_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, saved_at = NULL
	WHERE held.read_at IS NOT NULL
	OR held.saved_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $8::smallint, $9::uuid, $10::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CAST(NULL AS bigint) AS saved_at,
			coalesce(st.archived_at, CAST($2 AS bigint)) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($3::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $4::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $5::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($6::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $7
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR st.saved_at IS NOT NULL
		OR NOT st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, saved_at = NULL, archived_at = coalesce(held.archived_at, excluded.archived_at)
	WHERE held.read_at IS NOT NULL
	OR held.saved_at IS NOT NULL
	OR held.archived_at IS NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $8::smallint, $9::uuid, $10::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;

WITH marked AS (
	INSERT INTO notification_states AS held (user_ref, message_id, read_at, saved_at, archived_at, logged)
	SELECT page.user_ref, page.message_id, page.read_at, page.saved_at, page.archived_at, TRUE
	FROM (
		SELECT CAST($1 AS text) AS user_ref, del.message_id, CAST(NULL AS bigint) AS read_at, CAST(NULL AS bigint) AS saved_at,
			CAST(NULL AS bigint) AS archived_at
		FROM (
			SELECT DISTINCT del.message_id, del.system
			FROM (
				SELECT del.message_id, del.system
				FROM (
					SELECT *
					FROM json_to_recordset($2::json) AS item(value text, since uuid)
					LIMIT 4
				) aud
				CROSS JOIN LATERAL (
					SELECT del.message_id, del.system
					FROM notification_deliveries del
					WHERE del.audience = aud.value
					AND del.message_id >= aud.since
					AND del.expires_at > (SELECT $3::bigint)
					AND (NOT del.scheduled OR del.message_id < (SELECT $4::uuid))
					AND del.message_id IN (
						SELECT item.value::uuid AS value
						FROM json_array_elements_text($5::json) AS item(value)
					)
					OFFSET 0
				) del
			) del
		) del
		LEFT JOIN notification_states st ON st.user_ref = $6
		AND st.message_id = del.message_id
		WHERE (st.read_at IS NOT NULL)
		OR st.saved_at IS NOT NULL
		OR st.archived_at IS NOT NULL
		ORDER BY del.message_id
	) page
	WHERE TRUE
	ON CONFLICT (user_ref, message_id) DO UPDATE
	SET read_at = NULL, saved_at = NULL, archived_at = NULL
	WHERE held.read_at IS NOT NULL
	OR held.saved_at IS NOT NULL
	OR held.archived_at IS NOT NULL
	RETURNING TRUE
), logged AS (
	INSERT INTO notification_changes (kind, message_id, user_ref)
	SELECT $7::smallint, $8::uuid, $9::text
	WHERE EXISTS (
		SELECT
		FROM marked
	)
)
SELECT count(*)
FROM marked;
