PRAGMA encoding;

SELECT name
FROM pragma_table_info(?);

SELECT coalesce(max(needs_version), 0)
FROM notification_schema_requirements;

SELECT name
FROM pragma_table_info(?);

SELECT coalesce(max(version_id), 0)
FROM notification_schema_version;
