/* A policy: what a tenant may do at most, whatever its keys say. One YAML file, parsed here and
 * nowhere else: by the CLI to check it, by the admin commands to store it, by the ledger to act on
 * it. The fields stand in one table (policy_fields.c), from which parsing, showing, the audit log
 * and docs/POLICIES.md follow.
 *
 * Nothing is stored that is not enforced: a field that is not known, and one that this version
 * knows of and does not enforce, are errors, with line and column.
 *
 * Values are plain data and own nothing. Threads: pure functions. Input: the operator's, but
 * checked like any other; outputs are untouched on failure. */
#ifndef TENANCY_POLICY_H
#define TENANCY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/message_table.h"
#include "base/name.h"
#include "base/status.h"
#include "tenancy/network.h"

#define POLICY_TEXT_MAX 16384
#define POLICY_NETWORKS_MAX 64
#define POLICY_VALUE_MAX 80       /* of a field's value as a text, networks aside */
#define POLICY_DEFAULT "standard" /* of a tenant that was made without one */

enum { POLICY_CERTIFICATES_OPTIONAL, POLICY_CERTIFICATES_REQUIRED };
/* The weakest memory that may hold the tenant's weights. */
enum {
    POLICY_MEMORY_CONFIGURED = MESSAGE_MEMORY_CONFIGURED,
    POLICY_MEMORY_LOCKED = MESSAGE_MEMORY_LOCKED,
    POLICY_MEMORY_SECRET = MESSAGE_MEMORY_SECRET,
};
enum { POLICY_DETAIL_FULL, POLICY_DETAIL_MINIMAL };
enum { POLICY_CLIENT_HASH, POLICY_CLIENT_PLAIN, POLICY_CLIENT_NONE };
enum {
    POLICY_DOMAIN_ONNX = MESSAGE_DOMAIN_ONNX,
    POLICY_DOMAIN_ML = MESSAGE_DOMAIN_ML,
    POLICY_DOMAIN_MICROSOFT = MESSAGE_DOMAIN_MICROSOFT,
};

/* Members are uint64_t so that one table describes them. 0 is what holds without the field, but
 * for scopes and domains, where that is everything. */
struct policy {
    char name[NAME_MAX_LENGTH + 1];
    uint64_t scopes;       /* SCOPE_... bits */
    uint64_t tls;          /* 12, 13; 0: what the listener asks for */
    uint64_t certificates; /* POLICY_CERTIFICATES_... */
    uint64_t body_bytes, model_bytes, models, deadline_ms; /* 0: the configuration's alone */
    uint64_t domains;                                      /* POLICY_DOMAIN_... bits */
    uint64_t memory;                                       /* POLICY_MEMORY_... */
    uint64_t detail;                                       /* POLICY_DETAIL_... */
    uint64_t client;                                       /* POLICY_CLIENT_... */
    struct network networks[POLICY_NETWORKS_MAX];          /* none: every network */
    uint64_t network_count;
    uint32_t tls_line, tls_column; /* where it stands in the text, from 1 */
};

enum policy_kind {
    POLICY_KIND_NAME,
    POLICY_KIND_NUMBER,
    POLICY_KIND_CHOICE, /* one word */
    POLICY_KIND_SET,    /* a list of words, each a bit */
    POLICY_KIND_NETWORKS,
};

struct policy_word {
    const char *word;
    uint64_t value;
};

struct policy_field {
    const char *path; /* "limits.models": section and key, or a key at the top */
    enum policy_kind kind;
    size_t offset;                   /* in struct policy */
    uint64_t low, high;              /* of a number */
    const struct policy_word *words; /* of a choice or set; ends with a NULL word */
    const char *without;             /* what holds where the field is left out */
    const char *doc;                 /* one line: what it does */
};

extern const struct policy_field policy_fields[];
extern const size_t policy_fields_count;

/* What no field at all gives; the name is empty. */
struct policy policy_of_nothing(void);

/* Parse `size` bytes of YAML. STATUS_INVALID "line L, column C: ..." . */
MUST_USE enum status policy_parse(const void *text, size_t size, struct policy *policy,
                                  struct error *error);

/* A policy may only raise what the listener asks for (12 or 13; 0: not known, nothing is refused).
 * STATUS_INVALID with line and column. */
MUST_USE enum status policy_check_listener(const struct policy *policy, unsigned tls_minimum,
                                           struct error *error);

/* Field `field` as a text, "-" where it is as without it. Networks come as how many they are. */
void policy_value(const struct policy *policy, const struct policy_field *field,
                  char text[POLICY_VALUE_MAX]);

/* A line of the table in docs/POLICIES.md. */
void policy_document(const struct policy_field *field, char *text, size_t size);

#endif
