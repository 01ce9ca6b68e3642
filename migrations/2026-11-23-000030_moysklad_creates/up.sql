-- Entities that were about to be made in a child, and of which it is not known yet whether they were. If main deletes one
-- before the next run finds it, nothing else tells that the child may have it.
CREATE TABLE moysklad_creates (
    main_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    entity_type text NOT NULL,
    main_id uuid NOT NULL,
    external_code text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (child_account, main_account, entity_type, main_id)
);

COMMENT ON COLUMN moysklad_creates.external_code IS 'What the child''s entity is found by';

CREATE INDEX moysklad_creates_main ON moysklad_creates (main_account);
