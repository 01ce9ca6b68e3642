-- One row per payment: what its parts add up to.
CREATE TABLE payments (
    provider text NOT NULL,
    payment_id text NOT NULL,
    status text NOT NULL
        CHECK (status IN ('pending', 'succeeded', 'failed', 'canceled', 'refunded', 'partially_refunded')),
    amount bigint,
    amount_refunded bigint NOT NULL DEFAULT 0,
    currency text,
    customer text,
    last_event_id text NOT NULL,
    last_event_at timestamptz NOT NULL,
    last_event_rank smallint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, payment_id)
);

COMMENT ON COLUMN payments.amount IS 'Minor units; null while only refunds of it were seen';
COMMENT ON COLUMN payments.last_event_at IS 'When the last event happened, by the provider''s clock';
COMMENT ON COLUMN payments.last_event_rank IS 'How far the last event saw the payment: orders events of one second';

CREATE INDEX payments_updated ON payments (updated_at DESC, provider, payment_id);

-- One row per object of the provider that says something about a payment: its newest state. The objects of one
-- payment change apart from each other and arrive in any order, so each keeps its own version.
CREATE TABLE payment_parts (
    provider text NOT NULL,
    object_id text NOT NULL,
    payment_id text NOT NULL,
    role text NOT NULL CHECK (role IN ('intent', 'charge', 'refund')),
    as_of timestamptz NOT NULL,
    standing text NOT NULL
        CHECK (standing IN ('new', 'failed', 'pending', 'canceled', 'succeeded', 'undone')),
    refunded bigint NOT NULL,
    amount bigint,
    currency text,
    customer text,
    PRIMARY KEY (provider, object_id),
    FOREIGN KEY (provider, payment_id) REFERENCES payments (provider, payment_id) ON DELETE CASCADE
);

COMMENT ON COLUMN payment_parts.as_of IS 'The version: time of the event, or of the start of the fetch that showed this state';
COMMENT ON COLUMN payment_parts.refunded IS 'Minor units that a charge says were given back';

CREATE INDEX payment_parts_payment ON payment_parts (provider, payment_id);

-- When an object was last fetched from Stripe: an event that was there before needs no fetch of its own.
CREATE TABLE stripe_objects (
    account text NOT NULL,
    object_id text NOT NULL,
    synced_at timestamptz NOT NULL,
    gone boolean NOT NULL,
    facts jsonb,
    PRIMARY KEY (account, object_id)
);

COMMENT ON COLUMN stripe_objects.account IS 'Connected account; empty for the own account';
COMMENT ON COLUMN stripe_objects.synced_at IS 'Start of the fetch, by the database''s clock';
COMMENT ON COLUMN stripe_objects.facts IS 'What subscribers are told of it; null for the parts of payments';
