DROP INDEX webhook_events_moysklad_subject;
ALTER TABLE moysklad_sweeps DROP COLUMN compared_at;
