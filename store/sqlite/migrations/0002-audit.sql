-- What was done and used: the audit log and the usage of each day.
PRAGMA user_version = 2;

-- tenant, key and time stand in the record too; here they serve lookups alone.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    record BLOB NOT NULL
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, seq);

-- Guard rails against accidents. The evidence is the tree over the leaves, not these.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit records are not changed');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit records are not deleted');
END;

CREATE TABLE usage (
    tenant INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    compute_us INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, key, model)
) STRICT, WITHOUT ROWID;
