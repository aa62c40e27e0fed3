-- What was said. The *_key columns hold the texts folded; COLLATE "C" orders
-- them by code point, as SQLite does.
CREATE TABLE notification_messages (
    id          uuid PRIMARY KEY,
    origin      text NOT NULL,
    title       text NOT NULL,
    message     text,
    topic       text,
    actions     text NOT NULL,
    is_system   boolean NOT NULL,
    origin_key  text COLLATE "C" NOT NULL,
    title_key   text COLLATE "C" NOT NULL,
    message_key text COLLATE "C",
    topic_key   text COLLATE "C"
);

-- Whom it is for: user:…, group:… or system.
CREATE TABLE notification_deliveries (
    audience   text COLLATE "C" NOT NULL,
    message_id uuid NOT NULL,
    PRIMARY KEY (audience, message_id)
);

-- What a user did with it. read_at is in Unix milliseconds; null is unread.
CREATE TABLE notification_states (
    user_ref   text COLLATE "C" NOT NULL,
    message_id uuid NOT NULL,
    read_at    bigint,
    PRIMARY KEY (user_ref, message_id)
);
