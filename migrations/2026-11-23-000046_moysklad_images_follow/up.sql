-- A counterpart whose entity main made anew is handed over with what is known of its images.
ALTER TABLE moysklad_images
    DROP CONSTRAINT moysklad_images_main_account_child_account_entity_type_mai_fkey,
    ADD CONSTRAINT moysklad_images_mapping FOREIGN KEY (main_account, child_account, entity_type, main_id)
        REFERENCES moysklad_mappings (main_account, child_account, entity_type, main_id)
        ON UPDATE CASCADE ON DELETE CASCADE;
