/* Rows of the store, as plain values that own nothing.
 *
 * Times are microseconds since 1970-01-01T00:00:00Z and always given by the caller; 0 means
 * "never" where a field says so. Texts end with a zero byte. A row id is the number of a row in
 * one store and is never given out twice. */
#ifndef STORE_TYPES_H
#define STORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/name.h"
#include "store/scope.h"

#define STORE_UID_LENGTH 32     /* 128 random bits in lower-case hex */
#define STORE_RECIPIENT_MAX 128 /* "age1..." */
#define STORE_WRAPPED_MAX 4096  /* an age file of about 500 bytes */
#define STORE_NOTE_MAX 2048     /* a signed note */
#define STORE_VERIFIER_MAX 256  /* a note verifier key */
#define STORE_KEY_ID_MAX 32
#define STORE_KEY_MAKER_MAX STORE_KEY_ID_MAX
#define STORE_KEY_HASH_SIZE 32
#define STORE_COMMITMENT_SIZE 32
#define STORE_HEADER_MAX 65536                         /* of a sealed model */
#define STORE_MODEL_NAME_MAX (2 * NAME_MAX_LENGTH + 1) /* "name/version" */
#define STORE_CERTIFICATE_SIZE 32                      /* SHA-256 of a certificate's DER */
#define STORE_POLICY_TEXT_MAX 16384
#define STORE_POLICY_DEFAULT "standard" /* of a tenant that is made without one */
#define STORE_SECRET_SIZE 32
#define STORE_PAYLOAD_MAX (INT64_C(1) << 46)

struct store_meta {
    char uid[STORE_UID_LENGTH + 1];
    int64_t created;
    char recipient[STORE_RECIPIENT_MAX + 1]; /* the root's: tenants' identities are sealed to it */
    char verifier[STORE_VERIFIER_MAX + 1];   /* public half of the keeper's signing key */
};

enum store_tenant_state {
    STORE_TENANT_ENABLED = 1,
    STORE_TENANT_DISABLED = 2,
};

/* A tenant is its uid. The name is for people and may be taken again once a tenant is gone; a uid
 * is new for every tenant, and is what an identity names inside and what audit records say. */
struct store_tenant {
    int64_t id;
    char uid[STORE_UID_LENGTH + 1];
    char name[NAME_MAX_LENGTH + 1];
    char recipient[STORE_RECIPIENT_MAX + 1]; /* models are sealed to it */
    uint8_t wrapped[STORE_WRAPPED_MAX];      /* its identity, an age file sealed to the root */
    size_t wrapped_size;
    char note[STORE_NOTE_MAX + 1]; /* uid, name and recipient, signed by the keeper's key */
    enum store_tenant_state state;
    int64_t created;
    char policy[NAME_MAX_LENGTH + 1]; /* its name */
};

/* What tenants may do at most. The text is opaque here; tenancy/policy.h reads it. */
struct store_policy {
    char name[NAME_MAX_LENGTH + 1];
    char text[STORE_POLICY_TEXT_MAX + 1];
    int64_t changed; /* 0: it came with the store */
};

/* An API key, as far as it is ever stored: the hash authenticates nothing. */
struct store_key {
    char id[STORE_KEY_ID_MAX + 1];
    int64_t tenant;                  /* row id; 0: an operator's, whose scopes are others */
    char label[NAME_MAX_LENGTH + 1]; /* "" where none was given */
    uint8_t hash[STORE_KEY_HASH_SIZE];
    uint32_t scopes;
    int64_t created;
    int64_t expires; /* 0: never */
    int64_t revoked; /* 0: not */
    /* The key that made it, "operator" where none was needed, "" where that is not known. A maker's
     * end is not its keys': this says which to look at when it leaked. */
    char maker[STORE_KEY_MAKER_MAX + 1];
    bool has_certificate;
    uint8_t certificate[STORE_CERTIFICATE_SIZE]; /* of the client that may use it, and no other */
};

/* uploading: the payload is not complete; pending: complete, and not yet opened whole by a worker;
 * ready: opened once, commitment recorded. States only go forward. */
enum store_model_state {
    STORE_MODEL_UPLOADING = 1,
    STORE_MODEL_PENDING = 2,
    STORE_MODEL_READY = 3,
};

struct store_model {
    int64_t id;     /* also names the file of the payload */
    int64_t tenant; /* row id */
    char name[NAME_MAX_LENGTH + 1];
    char version[NAME_MAX_LENGTH + 1];
    enum store_model_state state;
    size_t header_size;   /* 0 while uploading */
    int64_t payload_size; /* bytes after the header; 0 while uploading */
    bool has_commitment;
    uint8_t commitment[STORE_COMMITMENT_SIZE];
    int64_t created;
    bool unloaded; /* by its tenant: stays out of memory until it is loaded again */
};

/* What was used, by tenant, key, model and day; added to what is there. */
struct store_usage {
    int64_t tenant;    /* row id */
    const char *key;   /* key id; borrowed */
    const char *model; /* "name/version"; borrowed */
    int32_t day;       /* days since 1970-01-01, UTC */
    int64_t requests, errors, compute_us, bytes_in, bytes_out;
};

/* A record of the log, borrowed for the call it is passed to. */
struct store_audit_row {
    uint64_t seq;
    int64_t time;
    const uint8_t *record; /* canonical bytes */
    size_t size;
    const uint8_t *leaf; /* 32 bytes */
};

const char *store_tenant_state_name(enum store_tenant_state state);
const char *store_model_state_name(enum store_model_state state);

#endif
