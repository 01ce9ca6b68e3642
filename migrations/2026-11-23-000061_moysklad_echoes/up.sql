-- The echoes of the last ten minutes one by one, so that any ten minutes count and not only those after the first echo.
ALTER TABLE moysklad_loop_breakers
    ADD COLUMN echoes timestamptz[] NOT NULL DEFAULT '{}',
    DROP COLUMN window_at;

COMMENT ON COLUMN moysklad_loop_breakers.echoes IS 'When webhooks followed writes within the last ten minutes; no more of them than trip the breaker';
COMMENT ON COLUMN moysklad_loop_breakers.count IS 'Writes that a webhook followed in the ten minutes before the last such webhook';
