-- Which lead was enriched for which contact: guards against the echo of the own message and against a second message
-- after a crash. Nothing personal stands here: the fingerprint is a keyed hash, and the message is not kept.
CREATE TABLE c2s_enrichments (
    lead_id text NOT NULL,
    fingerprint bytea NOT NULL,
    state text NOT NULL DEFAULT 'posting' CHECK (state IN ('posting', 'posted')),
    started_at timestamptz NOT NULL DEFAULT now(),
    posted_at timestamptz,
    PRIMARY KEY (lead_id, fingerprint)
);

COMMENT ON COLUMN c2s_enrichments.lead_id IS 'The lead''s id at C2S';
COMMENT ON COLUMN c2s_enrichments.fingerprint IS 'Keyed hash of the lead''s id and contact; its start is the marker in the message';
COMMENT ON COLUMN c2s_enrichments.state IS 'posting: the message may or may not have arrived; posted: it has';
