DROP TABLE moysklad_sync_log;
ALTER TABLE moysklad_mappings DROP COLUMN written_fields;
DROP TABLE moysklad_changes;
