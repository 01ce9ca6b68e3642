ALTER TABLE moysklad_creates DROP COLUMN fields;
