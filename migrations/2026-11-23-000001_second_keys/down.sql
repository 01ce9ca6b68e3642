DROP INDEX webhook_events_replay_key;
ALTER TABLE webhook_events DROP COLUMN replay_of;
ALTER TABLE webhook_events DROP COLUMN replay_key;
