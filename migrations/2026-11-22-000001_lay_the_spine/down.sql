DROP VIEW events;
DROP FUNCTION hookgate_jsonb(bytea);
DROP TABLE sync_queue;
DROP TABLE webhook_events;
