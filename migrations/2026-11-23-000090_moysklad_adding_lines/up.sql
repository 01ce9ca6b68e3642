-- A request that adds lines may land minutes after the process that sent it has died: who comes next waits for that.
ALTER TABLE moysklad_mappings ADD COLUMN adding_since timestamptz;

COMMENT ON COLUMN moysklad_mappings.adding_since IS 'When lines were last sent to main''s order by a request whose end is not known; null: none is';
