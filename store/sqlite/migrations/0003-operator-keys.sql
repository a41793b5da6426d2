-- Keys of operators, for the admin socket and for metrics: keys like the others, but of no tenant.
-- One table, so that an id is one key's alone.
PRAGMA user_version = 3;

CREATE TABLE keys_of_all (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant INTEGER REFERENCES tenants (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    scopes INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL
) STRICT;
INSERT INTO keys_of_all SELECT row, id, tenant, label, hash, scopes, created, expires, revoked
    FROM keys;
DROP TABLE keys;
ALTER TABLE keys_of_all RENAME TO keys;
CREATE INDEX keys_tenant ON keys (tenant);
