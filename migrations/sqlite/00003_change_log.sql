-- What changed, one row a change, in the transaction of the change. kind: 1
-- posted, 2 rewritten in its place, 3 removed, 4 a user erased, 5 a user's marks
-- changed, 6 imported, 7 settings of a user changed, 8 purged. message_id is the
-- message, null if there are several. user_ref is whose marks, settings or data
-- they are, as in notification_states. audiences is a JSON array of the audiences
-- that a removed message left. due_at is when a scheduled message appears, in
-- Unix milliseconds. seq is in the order of commits, and no number comes twice.
-- The rows of the last minutes are kept.
CREATE TABLE notification_changes (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       INTEGER NOT NULL,
    message_id TEXT,
    user_ref   TEXT,
    audiences  TEXT,
    due_at     INTEGER
) STRICT;

-- Which changes were visible at a time, every few seconds while there are some.
-- snapshot is the largest seq. at is in Unix milliseconds. nonce is random.
CREATE TABLE notification_ticks (
    snapshot INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    nonce    TEXT NOT NULL
) STRICT;
CREATE INDEX notification_ticks_at ON notification_ticks (at);

-- One row. identity is for PostgreSQL. nonce is random.
CREATE TABLE notification_epoch (
    identity TEXT NOT NULL,
    nonce    TEXT NOT NULL
) STRICT;
INSERT INTO notification_epoch (identity, nonce) VALUES ('', lower(hex(randomblob(16))));

-- Programs that do not know this migration would write without logging. The new
-- name makes their posts, withdrawals, erasures and purges fail, and the column
-- without a default their marks. They can still read. SQLite cannot add such a
-- column, so the table is written again.
ALTER TABLE notification_messages RENAME COLUMN audiences TO audience_list;

CREATE TABLE notification_states_logged (
    user_ref    TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    read_at     INTEGER,
    saved_at    INTEGER,
    archived_at INTEGER,
    logged      INTEGER NOT NULL,
    PRIMARY KEY (user_ref, message_id)
) STRICT, WITHOUT ROWID;
INSERT INTO notification_states_logged (user_ref, message_id, read_at, saved_at, archived_at, logged)
SELECT user_ref, message_id, read_at, saved_at, archived_at, 1 FROM notification_states;
DROP TABLE notification_states;
ALTER TABLE notification_states_logged RENAME TO notification_states;
CREATE INDEX notification_states_message ON notification_states (message_id);

CREATE TABLE notification_schema_requirements (needs_version bigint NOT NULL PRIMARY KEY);
INSERT INTO notification_schema_requirements (needs_version) VALUES (3);
