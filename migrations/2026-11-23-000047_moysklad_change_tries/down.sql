ALTER TABLE moysklad_changes DROP COLUMN tries;
