/* The store: tenants, keys, models, usage and the audit log, behind one interface.
 *
 * Every function is one transaction: it has happened, durably, when STATUS_OK is returned, and not
 * at all otherwise (a commit whose end was cut off by a failing disk may turn up after a restart;
 * it was not promised). A function that changes something takes an audit record, which is
 * appended in the same transaction: no act without its record. NULL there means that the caller
 * records the act elsewhere.
 *
 * Threads. A handle from store_open may be used by several threads: a mutex inside makes callers
 * take turns, for as long as one transaction. A handle from store_open_reader reads a consistent
 * state beside the writer, never waits for a commit and never holds one up; make one per thread
 * that reads. A reader refuses to change anything with STATUS_INTERNAL. Readers are closed before
 * their writer.
 *
 * Callbacks for rows are called inside the transaction: they must not call the store, and what
 * they are given lives until they return. A callback that returns other than STATUS_OK ends the
 * listing, and its status is the function's.
 *
 * Failures: STATUS_INVALID for a value that breaks a rule of types.h, STATUS_NOT_FOUND,
 * STATUS_CONFLICT where a name is taken or a state does not allow the step, STATUS_UNAVAILABLE
 * where the disk is full or fails, or the store stays busy; STATUS_INTERNAL where the stored data
 * is damaged. Messages may be shown to tenants. Outputs are untouched on failure.
 *
 * Input: values are checked here for form; whether a caller may do it is the caller's to decide. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/status.h"
#include "store/audit_filter.h"
#include "store/audit_record.h"
#include "store/types.h"

struct store;

/* ---- opening ---- */

/* Make a new store in the folder `dir`, which exists. STATUS_CONFLICT where one is there. */
MUST_USE enum status store_create(const char *dir, const struct store_meta *meta,
                                  struct error *error);
/* Take the writer's lock of the store in `dir`, bring it to this version's schema, and open it.
 * STATUS_CONFLICT "the store is in use by a running server" where another process or handle has
 * the lock, or where the store is of a newer version; STATUS_NOT_FOUND where there is none. */
MUST_USE enum status store_open(const char *dir, struct store **store, struct error *error);
/* Look at the store in `dir` and change nothing in it: its form and its integrity are checked. A
 * reader, as below, but without a writer; it holds the writer's lock, so that no server starts
 * meanwhile. STATUS_CONFLICT where one runs (*running then is true) or the store is of a newer
 * version, STATUS_INTERNAL where it is damaged, STATUS_NOT_FOUND where there is none. Of a store of
 * an older version only the version may be asked for: the next start brings it up to date. */
MUST_USE enum status store_inspect(const char *dir, bool *running, struct store **store,
                                   struct error *error);
/* A store of the same behaviour that lives as long as its handles, for tests and trials. */
MUST_USE enum status store_open_memory(const struct store_meta *meta, struct store **store,
                                       struct error *error);
/* A read-only handle beside `writer`. */
MUST_USE enum status store_open_reader(struct store *writer, struct store **reader,
                                       struct error *error);
void store_close(struct store *store);

/* Version of the schema that this program writes, and of the store. */
int store_version_known(void);
MUST_USE enum status store_version(struct store *store, int *version, struct error *error);
MUST_USE enum status store_meta(struct store *store, struct store_meta *meta, struct error *error);

/* ---- tenants ---- */

typedef enum status store_tenant_row(void *context, const struct store_tenant *tenant,
                                     struct error *error);

/* Add `tenant`; its `id` is set. Uid and name must be new. The state is as given. An empty policy
 * becomes the default one; STATUS_NOT_FOUND where there is no such policy. */
MUST_USE enum status store_tenant_create(struct store *store, struct store_tenant *tenant,
                                         struct audit_record *record, struct error *error);
MUST_USE enum status store_tenant_get(struct store *store, int64_t id, struct store_tenant *tenant,
                                      struct error *error);
MUST_USE enum status store_tenant_find(struct store *store, const char *name,
                                       struct store_tenant *tenant, struct error *error);
/* All tenants in the order of their making. */
MUST_USE enum status store_tenant_list(struct store *store, store_tenant_row *row, void *context,
                                       struct error *error);
MUST_USE enum status store_tenant_set_state(struct store *store, int64_t id,
                                            enum store_tenant_state state,
                                            struct audit_record *record, struct error *error);
/* Remove the tenant with its identity, keys, models and usage. Audit records stay. The files of
 * its models are the caller's to remove. What was deleted is overwritten in the store. */
MUST_USE enum status store_tenant_delete(struct store *store, int64_t id,
                                         struct audit_record *record, struct error *error);

/* STATUS_NOT_FOUND where either is not there. */
MUST_USE enum status store_tenant_set_policy(struct store *store, int64_t id, const char *policy,
                                             struct audit_record *record, struct error *error);

/* ---- policies ---- */

typedef enum status store_policy_row(void *context, const struct store_policy *policy,
                                     struct error *error);

/* Add a policy, or put it in the place of the one of its name, with `count` records. */
MUST_USE enum status store_policy_set(struct store *store, const struct store_policy *policy,
                                      struct audit_record *records, size_t count,
                                      struct error *error);
MUST_USE enum status store_policy_find(struct store *store, const char *name,
                                       struct store_policy *policy, struct error *error);
/* All policies in the order of their making. */
MUST_USE enum status store_policy_list(struct store *store, store_policy_row *row, void *context,
                                       struct error *error);
/* STATUS_CONFLICT where a tenant has it, and for the default one. */
MUST_USE enum status store_policy_delete(struct store *store, const char *name,
                                         struct audit_record *record, struct error *error);

/* ---- secrets ---- */

/* The secret of that name into `kept`; where there is none yet, `fresh` becomes it. */
MUST_USE enum status store_secret(struct store *store, const char *name,
                                  const uint8_t fresh[STORE_SECRET_SIZE],
                                  uint8_t kept[STORE_SECRET_SIZE], struct error *error);

/* Put `fresh` in the place of the secret of that name, or where there is none yet. What was there
 * is overwritten in the store. */
MUST_USE enum status store_secret_replace(struct store *store, const char *name,
                                          const uint8_t fresh[STORE_SECRET_SIZE],
                                          struct audit_record *record, struct error *error);

/* ---- keys ---- */

/* For store_key_list: the keys of operators. */
#define STORE_OPERATORS INT64_C(-1)

typedef enum status store_key_row(void *context, const struct store_key *key, struct error *error);

MUST_USE enum status store_key_create(struct store *store, const struct store_key *key,
                                      struct audit_record *record, struct error *error);
/* The row as it is: revoked and expired ones too, a tenant's or an operator's (`tenant` is 0). */
MUST_USE enum status store_key_find(struct store *store, const char *id, struct store_key *key,
                                    struct error *error);
/* Keys of a tenant (row id), of all tenants where it is 0, of operators where it is
 * STORE_OPERATORS, in the order of their making. */
MUST_USE enum status store_key_list(struct store *store, int64_t tenant, store_key_row *row,
                                    void *context, struct error *error);
/* A key that is revoked already keeps its first time; that is no error. */
MUST_USE enum status store_key_revoke(struct store *store, const char *id, int64_t now,
                                      struct audit_record *record, struct error *error);

/* ---- models ---- */

typedef enum status store_model_row(void *context, const struct store_model *model,
                                    struct error *error);

/* A new version in state uploading. `model` receives the row. */
MUST_USE enum status store_model_create(struct store *store, int64_t tenant, const char *name,
                                        const char *version, int64_t now, struct store_model *model,
                                        struct audit_record *record, struct error *error);
/* The upload is complete: uploading to pending, with its header and the size of its payload. */
MUST_USE enum status store_model_complete(struct store *store, int64_t id, const void *header,
                                          size_t header_size, int64_t payload_size,
                                          struct audit_record *record, struct error *error);
/* A worker has opened it whole: pending to ready, with the commitment. */
MUST_USE enum status store_model_ready(struct store *store, int64_t id,
                                       const uint8_t commitment[STORE_COMMITMENT_SIZE],
                                       struct audit_record *record, struct error *error);
/* Remove the row, whatever its state; the file is the caller's to remove. */
MUST_USE enum status store_model_delete(struct store *store, int64_t id,
                                        struct audit_record *record, struct error *error);
MUST_USE enum status store_model_get(struct store *store, int64_t id, struct store_model *model,
                                     struct error *error);
/* One version, or the latest where `version` is NULL. The latest is taken from the ready ones, so
 * that a new upload does not take over before it can answer; where none is ready, from the others.
 * Of these it is the greatest number where every version is a number (digits only), else the one
 * made last. */
MUST_USE enum status store_model_find(struct store *store, int64_t tenant, const char *name,
                                      const char *version, struct store_model *model,
                                      struct error *error);
/* Note for all versions that there are of a model whether its tenant has unloaded it. */
MUST_USE enum status store_model_set_unloaded(struct store *store, int64_t tenant, const char *name,
                                              bool unloaded, struct audit_record *record,
                                              struct error *error);
/* Copy the header into out[0..capacity) and set its size; STATUS_TOO_LARGE where it does not
 * fit, which STORE_HEADER_MAX bytes rule out. */
MUST_USE enum status store_model_header(struct store *store, int64_t id, void *out, size_t capacity,
                                        size_t *size, struct error *error);
/* Models of a tenant, of all where it is 0, in the order of their making. */
MUST_USE enum status store_model_list(struct store *store, int64_t tenant, store_model_row *row,
                                      void *context, struct error *error);

/* ---- usage ---- */

typedef enum status store_usage_row(void *context, const struct store_usage *usage,
                                    struct error *error);

/* Usage of a tenant from day `first` to day `last`, both included, by day, key, model. */
MUST_USE enum status store_usage_list(struct store *store, int64_t tenant, int32_t first,
                                      int32_t last, store_usage_row *row, void *context,
                                      struct error *error);

/* ---- audit ---- */

typedef enum status store_audit_visit(void *context, const struct store_audit_row *row,
                                      struct error *error);
typedef enum status store_leaf_row(void *context, uint64_t seq,
                                   const uint8_t leaf[AUDIT_RECORD_LEAF_SIZE], struct error *error);
typedef void store_observer(void *context, const struct audit_record *records, size_t count);

/* Append `count` records and add `usage_count` counts, durably, in one transaction: the group
 * commit. Each record receives its `seq` (the first of a store is 0, none is left out) and `leaf`.
 * A record that audit_record_check refuses fails the whole group, so check on admission. Usage of
 * a tenant that is gone is dropped; its records are not. */
MUST_USE enum status store_audit_append(struct store *store, struct audit_record *records,
                                        size_t count, const struct store_usage *usage,
                                        size_t usage_count, struct error *error);
/* Have `observer` called for every group of records that this writer has committed, whichever
 * function appended it, in the order of seq, on the thread that committed. It must not call the
 * store. One observer; NULL removes it. */
void store_audit_observe(struct store *store, store_observer *observer, void *context);
/* Newest first: at most `max` records with seq < `before` (UINT64_MAX: from the newest), of the
 * tenant with this uid, of all and of none where it is NULL. */
MUST_USE enum status store_audit_list(struct store *store, const char *tenant_uid, uint64_t before,
                                      size_t max, store_audit_visit *row, void *context,
                                      struct error *error);
/* The same, of those that match `filter`; at most `scan` records are looked at. *next is what to
 * give as `before` to go on from there, 0 where there is nothing older. */
MUST_USE enum status store_audit_find(struct store *store, const char *tenant_uid,
                                      const struct store_audit_filter *filter, uint64_t before,
                                      size_t scan, size_t max, store_audit_visit *row,
                                      void *context, uint64_t *next, struct error *error);
MUST_USE enum status store_audit_count(struct store *store, const char *tenant_uid, uint64_t *count,
                                       struct error *error);
/* Size of the log: the highest seq and one, 0 where there is none. */
MUST_USE enum status store_audit_size(struct store *store, uint64_t *size, struct error *error);
/* Leaves from seq `first` on, in order. */
MUST_USE enum status store_audit_leaves(struct store *store, uint64_t first, store_leaf_row *row,
                                        void *context, struct error *error);

#endif
