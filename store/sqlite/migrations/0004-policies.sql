-- What a tenant may do at most: policies, which tenants have which, and keys bound to a client
-- certificate. The texts of the shipped ones are put in from policies/*.yaml when this is built.
PRAGMA user_version = 4;

CREATE TABLE policies (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
INSERT INTO policies (name, text, changed) VALUES ('standard', '@policy_standard@', 0);
INSERT INTO policies (name, text, changed) VALUES ('strict', '@policy_strict@', 0);
INSERT INTO policies (name, text, changed) VALUES ('trial', '@policy_trial@', 0);

-- Not a foreign key: SQLite adds no column that is one and has a default. Who sets it looks first.
ALTER TABLE tenants ADD COLUMN policy TEXT NOT NULL DEFAULT 'standard';
ALTER TABLE keys ADD COLUMN certificate BLOB NOT NULL DEFAULT x''
    CHECK (length(certificate) IN (0, 32));

-- Random bytes that the server uses and nobody sees; they are not what opens models.
CREATE TABLE secrets (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
