ALTER TABLE moysklad_changes ADD COLUMN tries integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN moysklad_changes.tries IS 'Runs that failed to bring it while others went through; back to 0 with each event';
