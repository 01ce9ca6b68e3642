UPDATE moysklad_changes SET status = 'blocked' WHERE status = 'unwanted';
ALTER TABLE moysklad_changes DROP CONSTRAINT moysklad_changes_status_check;
ALTER TABLE moysklad_changes ADD CONSTRAINT moysklad_changes_status_check
    CHECK (status IN ('waiting', 'blocked', 'failed'));
COMMENT ON COLUMN moysklad_changes.status IS 'blocked: waits for another entity; failed: a person has to look';
