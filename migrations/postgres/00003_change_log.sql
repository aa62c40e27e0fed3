-- What changed, one row a change, in the transaction of the change. kind: 1
-- posted, 2 rewritten in its place, 3 removed, 4 a user erased, 5 a user's marks
-- changed, 6 imported, 7 settings of a user changed, 8 purged. message_id is the
-- message, null if there are several. user_ref is whose marks, settings or data
-- they are, as in notification_states. audiences is a JSON array of the audiences
-- that a removed message left. due_at is when a scheduled message appears, in
-- Unix milliseconds. xact is the transaction, by which readers tell what they
-- have seen. The rows of the last minutes are kept.
CREATE TABLE notification_changes (
    xact       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind       smallint NOT NULL,
    message_id uuid,
    user_ref   text COLLATE "C",
    audiences  text,
    due_at     bigint
);
CREATE INDEX notification_changes_xact ON notification_changes (xact);

-- Which changes were visible at a time, every few seconds while there are some.
-- snapshot is that of pg_current_snapshot(). at is in Unix milliseconds. nonce is
-- random.
CREATE TABLE notification_ticks (
    snapshot text NOT NULL,
    at       bigint NOT NULL,
    nonce    text NOT NULL
);
CREATE INDEX notification_ticks_at ON notification_ticks (at);

-- One row. identity names the server and the table that the log was written on:
-- where it differs, the tables were restored or copied, and the log is emptied.
-- nonce is random, and another one after that.
CREATE TABLE notification_epoch (
    identity text NOT NULL,
    nonce    text NOT NULL
);
INSERT INTO notification_epoch (identity, nonce) VALUES ('', replace(gen_random_uuid()::text, '-', ''));

-- Programs that do not know this migration would write without logging. The new
-- name makes their posts, withdrawals, erasures and purges fail, and the column
-- without a default their marks. They can still read.
ALTER TABLE notification_messages RENAME COLUMN audiences TO audience_list;
ALTER TABLE notification_states ADD COLUMN logged boolean NOT NULL DEFAULT true;
ALTER TABLE notification_states ALTER COLUMN logged DROP DEFAULT;

CREATE TABLE notification_schema_requirements (needs_version bigint NOT NULL PRIMARY KEY);
INSERT INTO notification_schema_requirements (needs_version) VALUES (3);
