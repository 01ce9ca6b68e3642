-- What a create was to write: if its reply is lost and main takes a field back before the next run, nothing else tells that
-- the child may hold it.
ALTER TABLE moysklad_creates ADD COLUMN fields jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN moysklad_creates.fields IS 'Fields of all creates of this entity that were begun, null each';
