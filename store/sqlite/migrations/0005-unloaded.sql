-- A model that its tenant has unloaded stays out of memory until it is loaded again.
PRAGMA user_version = 5;

ALTER TABLE models ADD COLUMN unloaded INTEGER NOT NULL DEFAULT 0 CHECK (unloaded IN (0, 1));
