ALTER TABLE moysklad_images DROP COLUMN failures, DROP COLUMN doubtful;
