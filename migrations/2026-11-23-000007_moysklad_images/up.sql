-- Images of main's goods in a child: what was copied, and which are to be looked at. A row goes with its mapping, so what
-- is made anew gets its images anew.
CREATE TABLE moysklad_images (
    main_account uuid NOT NULL,
    child_account uuid NOT NULL,
    entity_type text NOT NULL,
    main_id uuid NOT NULL,
    copied jsonb NOT NULL DEFAULT '[]',
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'done', 'failed')),
    event_id uuid,
    error text,
    failed_task uuid,
    version bigint NOT NULL DEFAULT 1,
    due_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (main_account, child_account, entity_type, main_id),
    FOREIGN KEY (main_account, child_account, entity_type, main_id)
        REFERENCES moysklad_mappings (main_account, child_account, entity_type, main_id) ON DELETE CASCADE
);

COMMENT ON COLUMN moysklad_images.copied IS 'Main''s images as they were last copied, in their order, with their ids in the child or why the child refused them';
COMMENT ON COLUMN moysklad_images.status IS 'waiting: main''s images are to be looked at; done: nothing to do; failed: a person has to look';
COMMENT ON COLUMN moysklad_images.event_id IS 'The oldest event that told of it';
COMMENT ON COLUMN moysklad_images.failed_task IS 'Retrying this task takes it up again';
COMMENT ON COLUMN moysklad_images.version IS 'Raised by each change: it is done only if none came meanwhile';

CREATE INDEX moysklad_images_due ON moysklad_images (child_account, main_account, due_at) WHERE status = 'waiting';
CREATE INDEX moysklad_images_failed ON moysklad_images (failed_task) WHERE failed_task IS NOT NULL;

ALTER TABLE moysklad_sync_log
    DROP CONSTRAINT moysklad_sync_log_strategy_check,
    ADD CONSTRAINT moysklad_sync_log_strategy_check
        CHECK (strategy IN ('skipped', 'prices', 'attributes', 'base', 'full', 'images'));
