UPDATE moysklad_sync_log SET strategy = 'base' WHERE strategy = 'images';
ALTER TABLE moysklad_sync_log
    DROP CONSTRAINT moysklad_sync_log_strategy_check,
    ADD CONSTRAINT moysklad_sync_log_strategy_check
        CHECK (strategy IN ('skipped', 'prices', 'attributes', 'base', 'full'));
DROP TABLE moysklad_images;
