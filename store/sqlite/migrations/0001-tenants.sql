-- Who is served with what: the store's identity, tenants, their keys and models.
PRAGMA application_id = 1397899597;
PRAGMA user_version = 1;

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    uid TEXT NOT NULL,
    created INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    verifier TEXT NOT NULL
) STRICT;

-- Every uid that a tenant ever had: a uid is never given out twice, so rows here stay.
CREATE TABLE uids (uid TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a row id names files and caches, so that of a deleted row must not come back.
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL CHECK (state IN (1, 2)),
    created INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE TABLE keys (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    scopes INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL
) STRICT;
CREATE INDEX keys_tenant ON keys (tenant);

CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (1, 2, 3)),
    payload_size INTEGER NOT NULL,
    commitment BLOB CHECK (length(commitment) = 32),
    created INTEGER NOT NULL,
    header BLOB NOT NULL,
    UNIQUE (tenant, name, version)
) STRICT;
