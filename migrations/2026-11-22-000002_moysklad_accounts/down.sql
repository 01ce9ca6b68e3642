DROP TABLE moysklad_mappings;
DROP TABLE moysklad_accounts;
