-- A bundle with a part that the child does not want is no failure, but must come when that part does.
ALTER TABLE moysklad_changes DROP CONSTRAINT moysklad_changes_status_check;
ALTER TABLE moysklad_changes ADD CONSTRAINT moysklad_changes_status_check
    CHECK (status IN ('waiting', 'blocked', 'unwanted', 'failed'));
COMMENT ON COLUMN moysklad_changes.status IS
    'blocked: waits for another entity; unwanted: for one that the child does not want; failed: a person has to look';
