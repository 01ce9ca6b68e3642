-- Which line of main's order is which line of a child's document, so that an update keeps main's lines and what hangs
-- on them (reserves, shipments).
CREATE TABLE moysklad_positions (
    main_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_document uuid NOT NULL,
    child_position uuid NOT NULL,
    main_position uuid NOT NULL,
    PRIMARY KEY (child_account, main_account, child_document, child_position),
    UNIQUE (main_account, main_position)
);

-- The states that a child's order and main's copy of it had when they were last in step: who has changed since is who
-- is followed.
CREATE TABLE moysklad_order_states (
    main_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_account uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    child_document uuid NOT NULL,
    child_state text,
    main_state text,
    PRIMARY KEY (child_account, main_account, child_document)
);

COMMENT ON COLUMN moysklad_order_states.child_state IS 'Name of the state in the child';
COMMENT ON COLUMN moysklad_order_states.main_state IS 'Name of the state in main';

CREATE INDEX moysklad_order_states_main ON moysklad_order_states (main_account);

-- How orders stood when it was last told (sales_order.confirmed, sales_order.cancelled): the same is not told twice.
CREATE TABLE moysklad_order_standings (
    account_id uuid NOT NULL REFERENCES moysklad_accounts (account_id) ON DELETE CASCADE,
    order_id uuid NOT NULL,
    standing text NOT NULL CHECK (standing IN ('open', 'confirmed', 'cancelled')),
    PRIMARY KEY (account_id, order_id)
);
