SELECT replaced_by
FROM notification_messages
LIMIT 0;

SELECT expires_at
FROM notification_deliveries
LIMIT 0;

SELECT archived_at
FROM notification_states
LIMIT 0;

SELECT used_at
FROM notification_scopes
LIMIT 0;

SELECT expires_at
FROM notification_idempotency_keys
LIMIT 0;
