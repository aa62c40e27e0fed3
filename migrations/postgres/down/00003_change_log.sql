DROP TABLE notification_schema_requirements;

ALTER TABLE notification_states DROP COLUMN logged;
ALTER TABLE notification_messages RENAME COLUMN audience_list TO audiences;

DROP TABLE notification_epoch;
DROP TABLE notification_ticks;
DROP TABLE notification_changes;
