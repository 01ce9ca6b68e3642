-- What an account's webhooks are known by, and whom its token acts as.
ALTER TABLE moysklad_accounts
    ADD COLUMN sealed_hook_token bytea,
    ADD COLUMN own_uid text;

COMMENT ON COLUMN moysklad_accounts.sealed_hook_token IS 'Secret in the account''s own webhook URL, sealed with HOOKGATE_MASTER_KEY for this row; null until its webhooks are set up';
COMMENT ON COLUMN moysklad_accounts.own_uid IS 'Whom the access token acts as in the audit: login@account, or the uid of a solution without an account';

-- Breakers against loops: an entity whose own writes come back as webhooks is not written for a while.
CREATE TABLE moysklad_loop_breakers (
    account_id uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    entity_type text NOT NULL,
    entity_id uuid NOT NULL,
    written_at timestamptz NOT NULL,
    echoed boolean NOT NULL DEFAULT false,
    window_at timestamptz NOT NULL DEFAULT now(),
    count integer NOT NULL DEFAULT 0,
    trips integer NOT NULL DEFAULT 0,
    tripped_at timestamptz,
    reset_at timestamptz,
    PRIMARY KEY (account_id, entity_type, entity_id)
);

COMMENT ON COLUMN moysklad_loop_breakers.written_at IS 'Last write of the gateway';
COMMENT ON COLUMN moysklad_loop_breakers.echoed IS 'Whether a webhook has come since that write';
COMMENT ON COLUMN moysklad_loop_breakers.count IS 'Writes since window_at that a webhook followed';
COMMENT ON COLUMN moysklad_loop_breakers.trips IS 'How often it has tripped; the pause doubles each time';
COMMENT ON COLUMN moysklad_loop_breakers.reset_at IS 'Until when nothing is written';

CREATE INDEX moysklad_loop_breakers_tripped ON moysklad_loop_breakers (tripped_at) WHERE tripped_at IS NOT NULL;
CREATE INDEX moysklad_loop_breakers_written ON moysklad_loop_breakers (written_at);

-- What is done for each account again and again, one node at a time.
CREATE TABLE moysklad_sweeps (
    account_id uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    job text NOT NULL CHECK (job IN ('hooks', 'reconcile', 'import')),
    due_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    lease_owner uuid,
    seen_until timestamptz NOT NULL DEFAULT now(),
    progress jsonb,
    finished_at timestamptz,
    last_error text,
    PRIMARY KEY (account_id, job)
);

COMMENT ON COLUMN moysklad_sweeps.lease_until IS 'Until when one node alone works on it';
COMMENT ON COLUMN moysklad_sweeps.seen_until IS 'Every change before this has been looked at';
COMMENT ON COLUMN moysklad_sweeps.progress IS 'Where an import that was cut off goes on; null when none is under way';
