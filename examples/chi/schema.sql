-- The host's own tables, made in the host's own way. Those of the inbox come
-- from Service.Migrate, and begin with notification_.
CREATE TABLE IF NOT EXISTS users (
	name       text PRIMARY KEY,
	password   text NOT NULL,
	role       text NOT NULL CHECK (role IN ('admin', 'member')),
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS teams (
	name text PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS memberships (
	user_name text NOT NULL REFERENCES users ON DELETE CASCADE,
	team      text NOT NULL REFERENCES teams ON DELETE CASCADE,
	since     timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (user_name, team)
);
CREATE TABLE IF NOT EXISTS sessions (
	key       text PRIMARY KEY, -- SHA-256 of what the cookie holds
	user_name text NOT NULL REFERENCES users ON DELETE CASCADE,
	expires   timestamptz NOT NULL
);
