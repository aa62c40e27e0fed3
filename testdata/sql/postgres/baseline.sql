SHOW server_encoding;

SELECT attname::text
FROM pg_attribute
WHERE attrelid = to_regclass($1)
AND attnum > 0
AND NOT attisdropped;

SELECT coalesce(max(needs_version), 0)
FROM notification_schema_requirements;

SELECT attname::text
FROM pg_attribute
WHERE attrelid = to_regclass($1)
AND attnum > 0
AND NOT attisdropped;

SELECT coalesce(max(version_id), 0)
FROM notification_schema_version;
