ALTER TABLE moysklad_loop_breakers
    ADD COLUMN window_at timestamptz NOT NULL DEFAULT now(),
    DROP COLUMN echoes;

COMMENT ON COLUMN moysklad_loop_breakers.count IS 'Writes since window_at that a webhook followed';
