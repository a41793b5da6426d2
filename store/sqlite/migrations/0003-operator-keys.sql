-- Keys of operators: for the admin socket and for metrics, bound to no tenant.
PRAGMA user_version = 3;

CREATE TABLE operator_keys (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    scopes INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL
) STRICT;
