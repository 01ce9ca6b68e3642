-- MoySklad accounts: one main account of a franchise and its children.
CREATE TABLE moysklad_accounts (
    account_id uuid PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('main', 'child')),
    parent_account_id uuid REFERENCES moysklad_accounts (account_id) ON DELETE RESTRICT,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'suspended')),
    sealed_token bytea NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((role = 'child') = (parent_account_id IS NOT NULL))
);

COMMENT ON COLUMN moysklad_accounts.account_id IS 'MoySklad''s own id of the account: accountId of its events';
COMMENT ON COLUMN moysklad_accounts.parent_account_id IS 'The main account that a child follows';
COMMENT ON COLUMN moysklad_accounts.status IS 'suspended: MoySklad refused the token; nothing is sent until a new one is set';
COMMENT ON COLUMN moysklad_accounts.sealed_token IS 'Access token, sealed with HOOKGATE_MASTER_KEY for this row';

CREATE INDEX moysklad_accounts_parent ON moysklad_accounts (parent_account_id);

-- Mappings: which entity in a child is which entity in main.
CREATE TABLE moysklad_mappings (
    main_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    entity_type text NOT NULL,
    main_id uuid NOT NULL,
    child_id uuid NOT NULL,
    written_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (main_account, child_account, entity_type, main_id),
    UNIQUE (child_account, main_account, entity_type, child_id)
);

COMMENT ON COLUMN moysklad_mappings.written_hash IS 'SHA-256 of what was last written to the child; null while a write is under way or its end is unknown';
