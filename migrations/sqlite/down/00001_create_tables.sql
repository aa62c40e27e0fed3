DROP TABLE notification_states;
DROP TABLE notification_deliveries;
DROP TABLE notification_messages;
