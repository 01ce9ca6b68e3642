-- Processes that are alive. Unlogged: a row is written every second, and after a crash of Postgres every process joins anew.
CREATE UNLOGGED TABLE nodes (
    id uuid PRIMARY KEY,
    is_command boolean NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now(),
    heeds integer NOT NULL,
    alive_until timestamptz NOT NULL
);

COMMENT ON COLUMN nodes.is_command IS 'A command of the command line, beside those that serve';
COMMENT ON COLUMN nodes.heeds IS 'Among how many it shares the limits of upstreams, at least; 0 while it makes no calls';
COMMENT ON COLUMN nodes.alive_until IS 'It counts until then, and makes no calls after it';
