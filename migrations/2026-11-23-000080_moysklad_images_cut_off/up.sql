-- Images that could not be brought wait each for itself, and a request whose end is not known is remembered.
ALTER TABLE moysklad_images
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN doubtful boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN moysklad_images.failures IS 'Tries in a row that ended with an error that may pass';
COMMENT ON COLUMN moysklad_images.doubtful IS 'A request was sent whose end is not known: the child may have other images than those in copied';
