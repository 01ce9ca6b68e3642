DROP TABLE moysklad_sweeps;
DROP TABLE moysklad_loop_breakers;
ALTER TABLE moysklad_accounts DROP COLUMN own_uid, DROP COLUMN sealed_hook_token;
