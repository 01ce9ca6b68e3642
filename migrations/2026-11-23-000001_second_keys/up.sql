-- A second key for events whose id their proof does not cover: a captured request can come back under a fresh id, but not
-- with other bytes.
ALTER TABLE webhook_events ADD COLUMN replay_key bytea;
ALTER TABLE webhook_events ADD COLUMN replay_of uuid;

COMMENT ON COLUMN webhook_events.replay_key IS 'SHA-256 of the event''s bytes, or of what its scheme says instead; null where the proof covers the id';
COMMENT ON COLUMN webhook_events.replay_of IS 'The event with the same second key, where this one is suspected to be its replay; no reference, since that one may be deleted first';

-- Partial: senders that sign their ids pay nothing for it.
CREATE UNIQUE INDEX webhook_events_replay_key ON webhook_events (provider, replay_key) WHERE replay_key IS NOT NULL;
