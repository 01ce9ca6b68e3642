-- When all of an account's mapped entities were last compared with what it shows; between two such sweeps only those that
-- are new are asked for, where there may be very many.
ALTER TABLE moysklad_sweeps ADD COLUMN compared_at timestamptz;
COMMENT ON COLUMN moysklad_sweeps.compared_at IS 'when all mapped entities were last compared with those that are there';
-- What webhooks told of some entities, after an account was left alone for days in which millions of events came.
CREATE INDEX webhook_events_moysklad_subject ON webhook_events (subject, id) WHERE provider = 'moysklad';
