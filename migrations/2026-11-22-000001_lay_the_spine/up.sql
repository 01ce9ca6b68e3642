-- Events: one row is the stored fact, its dedupe key and its place in the work queue, so that one insert
-- acknowledges, deduplicates and enqueues at once and no crash can fall between.
CREATE TABLE webhook_events (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    subject text,
    occurred_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    body bytea NOT NULL,
    envelope text,
    headers text NOT NULL DEFAULT '{}',
    duplicates integer NOT NULL DEFAULT 0,
    last_duplicate_at timestamptz,
    conflicting_duplicates integer NOT NULL DEFAULT 0,
    outcome text,
    processed_at timestamptz,
    status text NOT NULL DEFAULT 'received'
        CHECK (status IN ('received', 'processing', 'completed', 'failed', 'rejected', 'ignored')),
    lane bigint,
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 5,
    priority smallint NOT NULL DEFAULT 100,
    run_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    lease_owner uuid,
    last_error text,
    attempt_log jsonb NOT NULL DEFAULT '[]',
    UNIQUE (provider, event_id)
);

COMMENT ON COLUMN webhook_events.id IS 'UUIDv7: sorts by time of receipt';
COMMENT ON COLUMN webhook_events.occurred_at IS 'When it happened, by the provider''s clock';
COMMENT ON COLUMN webhook_events.body IS 'Exact bytes of the event as received: the request body, or its slice of a batch';
COMMENT ON COLUMN webhook_events.envelope IS 'JSON that the request said about all its events, outside their own bytes';
COMMENT ON COLUMN webhook_events.headers IS 'JSON object of the request headers that hold no secret and no address';
COMMENT ON COLUMN webhook_events.conflicting_duplicates IS 'How many duplicates came with the same id but other bytes';
COMMENT ON COLUMN webhook_events.lane IS 'Hash of provider and subject: rows of one lane are handled one after another';
COMMENT ON COLUMN webhook_events.priority IS 'Smaller goes first';
COMMENT ON COLUMN webhook_events.run_at IS 'Not to be claimed before';

-- Partial: they cover only unfinished rows, so their size follows the backlog and not the history.
CREATE INDEX webhook_events_due ON webhook_events (priority, run_at, id) WHERE status = 'received';
CREATE INDEX webhook_events_lane ON webhook_events (lane, id)
    WHERE status IN ('received', 'processing') AND lane IS NOT NULL;
CREATE INDEX webhook_events_leased ON webhook_events (lease_until) WHERE status = 'processing';
CREATE INDEX webhook_events_trouble ON webhook_events (status, id) WHERE status IN ('failed', 'rejected');

-- Sync tasks: one unit of upstream work with an account, an entity and an operation.
CREATE TABLE sync_queue (
    id uuid PRIMARY KEY,
    event_id uuid REFERENCES webhook_events (id) ON DELETE SET NULL,
    account_id uuid NOT NULL,
    entity_type text NOT NULL,
    entity_id text NOT NULL,
    operation text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    dedupe_key text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    outcome text,
    processed_at timestamptz,
    status text NOT NULL DEFAULT 'received'
        CHECK (status IN ('received', 'processing', 'completed', 'failed', 'ignored')),
    lane bigint,
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 5,
    priority smallint NOT NULL DEFAULT 100,
    run_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    lease_owner uuid,
    last_error text,
    attempt_log jsonb NOT NULL DEFAULT '[]'
);

COMMENT ON COLUMN sync_queue.account_id IS 'The account that is written to';
COMMENT ON COLUMN sync_queue.dedupe_key IS 'Source event, target account and entity: a handler that runs twice enqueues once';

CREATE INDEX sync_queue_event ON sync_queue (event_id);
CREATE INDEX sync_queue_due ON sync_queue (priority, run_at, id) WHERE status = 'received';
CREATE INDEX sync_queue_lane ON sync_queue (lane, id)
    WHERE status IN ('received', 'processing') AND lane IS NOT NULL;
CREATE INDEX sync_queue_leased ON sync_queue (lease_until) WHERE status = 'processing';
CREATE INDEX sync_queue_trouble ON sync_queue (status, id) WHERE status = 'failed';

-- Operators read payloads as jsonb. Bytes that jsonb cannot hold (not UTF-8, not JSON) show as null instead of
-- failing the whole query; an escaped NUL, which jsonb refuses, shows as U+FFFD.
CREATE FUNCTION hookgate_jsonb(raw bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(raw, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    BEGIN
        RETURN replace(convert_from(raw, 'UTF8'), '\u0000', '\ufffd')::jsonb;
    EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
    END;
END
$$;

CREATE VIEW events AS
SELECT id, provider, event_id, event_type, subject, status, attempts, duplicates, conflicting_duplicates,
    occurred_at, received_at, processed_at, run_at AS next_attempt_at, outcome, last_error AS error,
    hookgate_jsonb(body) AS payload, envelope::jsonb AS envelope, headers::jsonb AS headers, attempt_log
FROM webhook_events;
