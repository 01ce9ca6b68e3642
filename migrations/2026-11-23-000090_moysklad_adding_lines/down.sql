ALTER TABLE moysklad_mappings DROP COLUMN adding_since;
