#include "store/sqlite/db_statements.h"

#define TENANT                                                                                     \
    "SELECT id, uid, name, state, created, recipient, wrapped, note, policy FROM tenants "
#define KEY                                                                                        \
    "SELECT id, tenant, label, hash, scopes, created, expires, revoked, certificate, maker "       \
    "FROM keys "
#define MODEL                                                                                      \
    "SELECT id, tenant, name, version, state, payload_size, commitment, created, length(header), " \
    "unloaded FROM models "
#define POLICY "SELECT name, text, changed FROM policies "
#define RECORD "SELECT seq, time, leaf, record FROM audit "

const char *const db_statements_sql[DB_STATEMENTS] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_VERSION] = "PRAGMA user_version",

    [DB_META_INSERT] =
        "INSERT INTO meta (one, uid, created, recipient, verifier) VALUES (1, ?1, ?2, ?3, ?4)",
    [DB_META] = "SELECT uid, created, recipient, verifier FROM meta",

    [DB_UID_INSERT] = "INSERT INTO uids (uid) VALUES (?1)",
    [DB_TENANT_INSERT] =
        "INSERT INTO tenants (uid, name, state, created, recipient, wrapped, note, policy) "
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, name FROM policies WHERE name = ?8",
    [DB_TENANT_GET] = TENANT "WHERE id = ?1",
    [DB_TENANT_FIND] = TENANT "WHERE name = ?1",
    [DB_TENANT_LIST] = TENANT "ORDER BY id",
    [DB_TENANT_STATE] = "UPDATE tenants SET state = ?2 WHERE id = ?1",
    [DB_TENANT_DELETE] = "DELETE FROM tenants WHERE id = ?1",
    [DB_TENANT_POLICY] = "UPDATE tenants SET policy = ?2 WHERE id = ?1",

    [DB_POLICY_SET] = "INSERT INTO policies (name, text, changed) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT DO UPDATE SET text = excluded.text, changed = excluded.changed",
    [DB_POLICY_FIND] = POLICY "WHERE name = ?1",
    [DB_POLICY_LIST] = POLICY "ORDER BY row",
    [DB_POLICY_USED] = "SELECT count(*) FROM tenants WHERE policy = ?1",
    [DB_POLICY_DELETE] = "DELETE FROM policies WHERE name = ?1",

    [DB_SECRET_INSERT] = "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [DB_SECRET_FIND] = "SELECT value FROM secrets WHERE name = ?1",
    [DB_SECRET_PUT] = "INSERT INTO secrets (name, value) VALUES (?1, ?2)"
                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",

    [DB_KEY_INSERT] = "INSERT INTO keys (id, tenant, label, hash, scopes, created, expires, "
                      "revoked, certificate, maker) "
                      "SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM tenants WHERE id = ?2 "
                      "UNION ALL SELECT ?1, NULL, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE ?2 = 0",
    [DB_KEY_FIND] = KEY "WHERE id = ?1",
    [DB_KEY_LIST] = KEY "WHERE tenant = ?1 ORDER BY row",
    [DB_KEY_LIST_ALL] = KEY "WHERE tenant IS NOT NULL ORDER BY row",
    [DB_KEY_LIST_OPERATORS] = KEY "WHERE tenant IS NULL ORDER BY row",
    [DB_KEY_REVOKE] =
        "UPDATE keys SET revoked = CASE revoked WHEN 0 THEN ?2 ELSE revoked END WHERE id = ?1",

    [DB_MODEL_INSERT] =
        "INSERT INTO models (tenant, name, version, state, payload_size, created, header) "
        "SELECT id, ?2, ?3, ?4, 0, ?5, x'' FROM tenants WHERE id = ?1",
    [DB_MODEL_COMPLETE] = "UPDATE models SET state = ?3, header = ?4, payload_size = ?5 "
                          "WHERE id = ?1 AND state = ?2",
    [DB_MODEL_READY] = "UPDATE models SET state = ?3, commitment = ?4 WHERE id = ?1 AND state = ?2",
    [DB_MODEL_DELETE] = "DELETE FROM models WHERE id = ?1",
    [DB_MODEL_GET] = MODEL "WHERE id = ?1",
    [DB_MODEL_FIND] = MODEL "WHERE tenant = ?1 AND name = ?2 AND version = ?3",
    [DB_MODEL_VERSIONS] = MODEL "WHERE tenant = ?1 AND name = ?2 ORDER BY id",
    [DB_MODEL_HEADER] = "SELECT header FROM models WHERE id = ?1",
    [DB_MODEL_LIST] = MODEL "WHERE tenant = ?1 ORDER BY id",
    [DB_MODEL_LIST_ALL] = MODEL "ORDER BY id",
    [DB_MODEL_UNLOADED] = "UPDATE models SET unloaded = ?3 WHERE tenant = ?1 AND name = ?2",

    [DB_USAGE_ADD] =
        "INSERT INTO usage (tenant, day, key, model, requests, errors, compute_us, bytes_in, "
        "bytes_out) SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM tenants WHERE id = ?1 "
        "ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, "
        "errors = errors + excluded.errors, compute_us = compute_us + excluded.compute_us, "
        "bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out",
    [DB_USAGE_LIST] = "SELECT day, key, model, requests, errors, compute_us, bytes_in, bytes_out "
                      "FROM usage WHERE tenant = ?1 AND day BETWEEN ?2 AND ?3 "
                      "ORDER BY day, key, model",

    [DB_AUDIT_INSERT] = "INSERT INTO audit (seq, time, tenant, key, leaf, record) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [DB_AUDIT_LIST] = RECORD "WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
    [DB_AUDIT_LIST_ALL] = RECORD "WHERE seq < ?2 ORDER BY seq DESC LIMIT ?3",
    [DB_AUDIT_COUNT] = "SELECT count(*) FROM audit WHERE tenant = ?1",
    [DB_AUDIT_COUNT_ALL] = "SELECT count(*) FROM audit",
    [DB_AUDIT_SIZE] = "SELECT coalesce(max(seq) + 1, 0) FROM audit",
    [DB_AUDIT_LEAVES] = "SELECT seq, leaf FROM audit WHERE seq >= ?1 ORDER BY seq",
};
