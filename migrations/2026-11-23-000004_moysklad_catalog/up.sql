-- Changes of main's catalogue that a child does not have yet. One row for each entity and child, however many events
-- told of it, so that a burst of them becomes a few reads and writes.
CREATE TABLE moysklad_changes (
    main_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    entity_type text NOT NULL,
    main_id uuid NOT NULL,
    operation text NOT NULL,
    updated_fields jsonb,
    event_id uuid,
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'blocked', 'failed')),
    error text,
    failed_task uuid,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (child_account, main_account, entity_type, main_id)
);

COMMENT ON COLUMN moysklad_changes.updated_fields IS 'Names that the events gave, together; null: unknown, so everything';
COMMENT ON COLUMN moysklad_changes.event_id IS 'The oldest event that told of it';
COMMENT ON COLUMN moysklad_changes.status IS 'blocked: waits for another entity; failed: a person has to look';
COMMENT ON COLUMN moysklad_changes.failed_task IS 'Retrying this task takes the change up again';
COMMENT ON COLUMN moysklad_changes.version IS 'Raised by each event: a change is done only if none came meanwhile';

CREATE INDEX moysklad_changes_main ON moysklad_changes (main_account);
CREATE INDEX moysklad_changes_due ON moysklad_changes (child_account, main_account, due_at) WHERE status = 'waiting';
CREATE INDEX moysklad_changes_failed ON moysklad_changes (failed_task) WHERE failed_task IS NOT NULL;

-- What was last written, field by field: an update sends only what differs from it.
ALTER TABLE moysklad_mappings ADD COLUMN written_fields jsonb;
COMMENT ON COLUMN moysklad_mappings.written_fields IS 'Hash of each field as it was last written';

-- The sync log: what became of each change in a child.
CREATE TABLE moysklad_sync_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    main_account uuid NOT NULL,
    child_account uuid NOT NULL,
    entity_type text NOT NULL,
    main_id uuid NOT NULL,
    child_id uuid,
    task_id uuid,
    event_id uuid,
    operation text NOT NULL,
    strategy text NOT NULL CHECK (strategy IN ('skipped', 'prices', 'attributes', 'base', 'full')),
    received jsonb,
    applied jsonb NOT NULL DEFAULT '[]',
    skipped jsonb NOT NULL DEFAULT '[]',
    error text,
    calls double precision NOT NULL DEFAULT 0,
    duration_ms bigint NOT NULL DEFAULT 0
);

COMMENT ON COLUMN moysklad_sync_log.received IS 'Field names that the events gave; null if none did';
COMMENT ON COLUMN moysklad_sync_log.applied IS 'Field names that were written';
COMMENT ON COLUMN moysklad_sync_log.skipped IS 'What could not cross over, and why';
COMMENT ON COLUMN moysklad_sync_log.calls IS 'Upstream calls; of those for many entities at once, this one''s share';

CREATE INDEX moysklad_sync_log_pair ON moysklad_sync_log (child_account, id);
-- For retention by age.
CREATE INDEX moysklad_sync_log_at ON moysklad_sync_log (at);
