-- Requests that reached a configured provider and were not proven, or could not be read. Bounded for each provider by count,
-- bytes and age: whoever can reach the route can write here.
CREATE TABLE quarantined_requests (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    reason text NOT NULL,
    fingerprint bytea NOT NULL,
    steps jsonb NOT NULL,
    method text NOT NULL,
    bases jsonb NOT NULL,
    path text NOT NULL,
    query text NOT NULL,
    headers jsonb NOT NULL,
    sealed bytea,
    proof_kept boolean NOT NULL,
    body bytea NOT NULL,
    body_bytes integer NOT NULL,
    size integer NOT NULL,
    times integer NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    reverified_at timestamptz,
    outcome text CHECK (outcome IN ('verifying', 'accepted', 'not proven', 'unreadable')),
    receipt jsonb,
    UNIQUE (provider, fingerprint)
);

COMMENT ON COLUMN quarantined_requests.reason IS 'missing, malformed, expired, mismatch or unreadable';
COMMENT ON COLUMN quarantined_requests.fingerprint IS 'Keyed hash of everything in the request; without a master key a hash of what is shown of it';
COMMENT ON COLUMN quarantined_requests.bases IS 'What stood before the path in the public URL, most likely first';
COMMENT ON COLUMN quarantined_requests.path IS 'Without the token that a route may hold';
COMMENT ON COLUMN quarantined_requests.query IS 'Values of secret parameters are redacted';
COMMENT ON COLUMN quarantined_requests.headers IS 'Pairs of name and value in their order: text, {"base64"} where it is none, null where it is redacted';
COMMENT ON COLUMN quarantined_requests.sealed IS 'What was redacted, sealed with HOOKGATE_MASTER_KEY for this row';
COMMENT ON COLUMN quarantined_requests.proof_kept IS 'False: there was no master key, so the proof itself is gone';
COMMENT ON COLUMN quarantined_requests.size IS 'Bytes that count against the provider''s share';
COMMENT ON COLUMN quarantined_requests.times IS 'How often exactly this request came';
COMMENT ON COLUMN quarantined_requests.received_at IS 'When it came first: the time that its proof is judged at';
COMMENT ON COLUMN quarantined_requests.receipt IS 'What its re-verification was answered';

CREATE INDEX quarantined_requests_age ON quarantined_requests (received_at);
CREATE INDEX quarantined_requests_newest ON quarantined_requests (provider, id);

-- Which secret proved how much: after a rotation it shows when the old one may go.
CREATE TABLE provider_secret_uses (
    provider text NOT NULL,
    secret_id text NOT NULL,
    uses bigint NOT NULL,
    first_used_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (provider, secret_id)
);

COMMENT ON COLUMN provider_secret_uses.secret_id IS 'Name, or digits of a keyed hash: never a part of the secret';

-- What happened at the door, by the hour.
CREATE TABLE provider_hours (
    provider text NOT NULL,
    hour timestamptz NOT NULL,
    proven bigint NOT NULL,
    unproven bigint NOT NULL,
    unreadable bigint NOT NULL,
    events bigint NOT NULL,
    last_event_at timestamptz,
    PRIMARY KEY (provider, hour)
);

COMMENT ON COLUMN provider_hours.events IS 'New events; the other counts are of requests';

-- Secrets that handshakes offered: an operator approves them before they prove anything.
CREATE TABLE offered_secrets (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    fingerprint bytea NOT NULL,
    sealed bytea NOT NULL,
    offered_at timestamptz NOT NULL DEFAULT now(),
    approved_at timestamptz,
    UNIQUE (provider, fingerprint)
);

COMMENT ON COLUMN offered_secrets.fingerprint IS 'Keyed hash of the secret: the same one offered again is one row';
COMMENT ON COLUMN offered_secrets.sealed IS 'The secret, sealed with HOOKGATE_MASTER_KEY for this row';
