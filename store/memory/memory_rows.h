/* What the handles of one in-memory store share, and how an array of rows grows. */
#ifndef STORE_MEMORY_MEMORY_ROWS_H
#define STORE_MEMORY_MEMORY_ROWS_H

#include "store/backend.h"

struct memory_model {
    struct store_model row;
    uint8_t *header;
};

struct memory_record {
    char tenant[AUDIT_RECORD_TENANT_MAX + 1];
    int64_t time;
    uint8_t leaf[AUDIT_RECORD_LEAF_SIZE];
    uint8_t *bytes;
    size_t size;
};

struct memory_usage {
    struct store_usage row; /* its texts point to the two below once it is handed out */
    char key[AUDIT_RECORD_KEY_MAX + 1];
    char model[STORE_MODEL_NAME_MAX + 1];
};

struct memory_secret {
    char name[NAME_MAX_LENGTH + 1];
    uint8_t value[STORE_SECRET_SIZE];
};

struct memory_uid {
    char text[STORE_UID_LENGTH + 1];
};

/* An array of rows of one type; `capacity` rows have room, `count` are there. */
struct memory_rows {
    void *rows;
    size_t count;
    size_t capacity;
};

struct memory_shared {
    pthread_mutex_t mutex;
    unsigned handles;
    struct store_meta meta;
    int64_t last_tenant, last_model; /* row ids given out */
    struct memory_rows uids, tenants, keys, models, usage, audit, policies, secrets;
};

struct memory {
    struct store store; /* first */
    struct memory_shared *shared;
};

/* Room for `more` rows of `size` bytes after those that are there, so that adding cannot fail
 * half way. */
MUST_USE enum status memory_rows_reserve(struct memory_rows *rows, size_t size, size_t more,
                                         struct error *error);
/* Take out row `i`, keeping the order. */
void memory_rows_remove(struct memory_rows *rows, size_t size, size_t i);

/* Records, written and hashed, in a place of their own until memory_rows_publish, which cannot
 * fail, so that an act and its records happen together or not at all. */
struct memory_batch {
    struct memory_record *records;
    size_t count;
};
MUST_USE enum status memory_rows_prepare(struct memory_shared *shared,
                                         const struct audit_record *records, size_t count,
                                         struct memory_batch *batch, struct error *error);
void memory_rows_publish(struct memory_shared *shared, struct memory_batch *batch,
                         struct audit_record *records);

#endif
