/* One audit record and its bytes.
 *
 * A record is one JSON object in the canonical form of RFC 8785 with exactly these members, sorted
 * as the RFC says: action, client, key, outcome, request, salt, seq, target, tenant, time, units,
 * v. Its leaf in the log is RFC 6962's SHA-256(0x00 || bytes).
 *
 * `time` is an integer, microseconds since 1970-01-01T00:00:00Z: RFC 8785 numbers are IEEE 754
 * doubles, exact up to 2^53 - 1, which microseconds reach in the year 2255; an integer has one
 * spelling, where a date has several (fractions, "Z" or "+00:00") that readers of a log then
 * disagree about. `seq` and `units` are held to the same limit. `salt` is 16 random bytes in
 * lower-case hex, so that who sees a leaf hash alone cannot find the record by guessing.
 *
 * The strings are borrowed for the call, end with a zero byte, must be UTF-8 (surrogates, overlong
 * forms and what is above U+10FFFF are refused) and no longer than the limits below; none may be
 * NULL. Nothing of a payload and no secret belongs in any of them.
 *
 * Threads: pure functions. Input: `client`, `request` and `target` come from outside. */
#ifndef STORE_AUDIT_RECORD_H
#define STORE_AUDIT_RECORD_H

#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define AUDIT_RECORD_VERSION 1
#define AUDIT_RECORD_INTEGER_MAX ((INT64_C(1) << 53) - 1)
#define AUDIT_RECORD_SALT_SIZE 16
#define AUDIT_RECORD_LEAF_SIZE 32

/* Longest of each string, in bytes before escaping. */
#define AUDIT_RECORD_TENANT_MAX 64
#define AUDIT_RECORD_KEY_MAX 64
#define AUDIT_RECORD_ACTION_MAX 64
#define AUDIT_RECORD_TARGET_MAX 256
#define AUDIT_RECORD_OUTCOME_MAX 256
#define AUDIT_RECORD_REQUEST_MAX 128
#define AUDIT_RECORD_CLIENT_MAX 64

/* A record whose strings are within the limits always fits: each byte escapes to 6 at most. */
#define AUDIT_RECORD_MAX 6144

struct audit_record {
    int64_t time;                         /* microseconds since the epoch */
    uint8_t salt[AUDIT_RECORD_SALT_SIZE]; /* from the caller's random source */
    const char *tenant;                   /* the tenant's uid, "" where it concerns none */
    const char *key;                      /* key id, or "operator" */
    const char *action;                   /* "infer", "tenant.create", ... */
    const char *target;                   /* what it was done to: "digits/1", a key id, ... */
    const char *outcome;                  /* the name of a status: "ok", "not_found" */
    const char *request;                  /* request id, "" where there is none */
    int64_t units;                        /* what it is charged with */
    const char *client;                   /* address of the caller, "" where there is none */

    /* Set by the store when the record is appended. */
    uint64_t seq;
    uint8_t leaf[AUDIT_RECORD_LEAF_SIZE];
};

/* Refuse what audit_record_write would refuse, before the record meets a group of others. */
MUST_USE enum status audit_record_check(const struct audit_record *record, struct error *error);

/* Append the canonical bytes of `record` at place `seq` of the log to `out`. A record that breaks
 * a rule above is STATUS_INVALID and names the member; too small a buffer is STATUS_TOO_LARGE,
 * which cannot happen where AUDIT_RECORD_MAX bytes are free. On failure out->size is as it was. */
MUST_USE enum status audit_record_write(const struct audit_record *record, uint64_t seq,
                                        struct buf *out, struct error *error);

/* RFC 6962's leaf hash of a record's canonical bytes. */
void audit_record_leaf(const uint8_t *bytes, size_t size, uint8_t leaf[AUDIT_RECORD_LEAF_SIZE]);

/* Append `text` as an RFC 8785 string, quotes included; STATUS_INVALID where it is not UTF-8 or
 * does not fit. */
MUST_USE enum status audit_record_string(const char *text, struct buf *out, struct error *error);

#endif
