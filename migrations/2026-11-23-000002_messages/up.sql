-- One row per message or push notification: how far it has come. No address, no number and no text of it is kept.
CREATE TABLE messages (
    provider text NOT NULL,
    message_id text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    status text NOT NULL,
    seen text[] NOT NULL,
    error_code text,
    last_event_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, message_id),
    CHECK (seen <@ ARRAY['scheduled', 'accepted', 'queued', 'receiving', 'sending', 'sent', 'partially_delivered',
        'canceled', 'failed', 'undelivered', 'received', 'delivered', 'read']),
    CHECK (status = seen[cardinality(seen)])
);

COMMENT ON COLUMN messages.message_id IS 'The provider''s id of it';
COMMENT ON COLUMN messages.status IS 'The furthest of all that was told, whatever the order in which it was told';
COMMENT ON COLUMN messages.seen IS 'Every status that was told, in the order in which a message takes them';
COMMENT ON COLUMN messages.error_code IS 'The provider''s code for why it stands at this status; null where none was told';
COMMENT ON COLUMN messages.last_event_id IS 'The event that brought the status';

CREATE INDEX messages_updated ON messages (updated_at DESC, provider, message_id);
