ALTER TABLE moysklad_images
    DROP CONSTRAINT moysklad_images_mapping,
    ADD CONSTRAINT moysklad_images_main_account_child_account_entity_type_mai_fkey
        FOREIGN KEY (main_account, child_account, entity_type, main_id)
        REFERENCES moysklad_mappings (main_account, child_account, entity_type, main_id) ON DELETE CASCADE;
