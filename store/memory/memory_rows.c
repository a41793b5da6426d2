#include "store/memory/memory_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

static enum status no_memory(struct error *error) {
    return status_fail(error, STATUS_UNAVAILABLE, "the store is out of memory");
}

enum status memory_rows_reserve(struct memory_rows *rows, size_t size, size_t more,
                                struct error *error) {
    size_t wanted, bytes;
    if (!checked_add(rows->count, more, &wanted))
        return no_memory(error);
    if (wanted <= rows->capacity)
        return STATUS_OK;
    if (wanted < 2 * rows->capacity)
        wanted = 2 * rows->capacity;
    if (!checked_mul(wanted, size, &bytes))
        return no_memory(error);
    void *grown = realloc(rows->rows, bytes);
    if (!grown)
        return no_memory(error);
    rows->rows = grown;
    rows->capacity = wanted;
    return STATUS_OK;
}

void memory_rows_remove(struct memory_rows *rows, size_t size, size_t i) {
    uint8_t *at = (uint8_t *)rows->rows + i * size;
    memmove(at, at + size, (rows->count - i - 1) * size);
    rows->count--;
}

static void discard(struct memory_batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        free(batch->records[i].bytes);
    free(batch->records);
    *batch = (struct memory_batch){0};
}

enum status memory_rows_prepare(struct memory_shared *shared, const struct audit_record *records,
                                size_t count, struct memory_batch *batch, struct error *error) {
    uint8_t scratch[AUDIT_RECORD_MAX];
    struct memory_batch made = {0};
    enum status status =
        memory_rows_reserve(&shared->audit, sizeof(struct memory_record), count, error);
    if (status == STATUS_OK && count) {
        made.records = calloc(count, sizeof *made.records);
        if (!made.records)
            status = no_memory(error);
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct memory_record *to = &made.records[i];
        struct buf out = buf_of(scratch, sizeof scratch);
        status = audit_record_write(&records[i], shared->audit.count + i, &out, error);
        if (status != STATUS_OK)
            break;
        to->bytes = malloc(out.size);
        if (!to->bytes) {
            status = no_memory(error);
            break;
        }
        made.count++;
        memcpy(to->bytes, out.data, out.size);
        to->size = out.size;
        to->time = records[i].time;
        memcpy(to->tenant, records[i].tenant, strlen(records[i].tenant));
        audit_record_leaf(out.data, out.size, to->leaf);
    }
    if (status == STATUS_OK)
        *batch = made;
    else
        discard(&made);
    return status;
}

void memory_rows_publish(struct memory_shared *shared, struct memory_batch *batch,
                         struct audit_record *records) {
    struct memory_record *rows = shared->audit.rows; /* NULL where nothing was ever recorded */
    for (size_t i = 0; i < batch->count; i++) {
        struct memory_record *to = &rows[shared->audit.count + i];
        *to = batch->records[i];
        records[i].seq = shared->audit.count + i;
        memcpy(records[i].leaf, to->leaf, sizeof to->leaf);
    }
    shared->audit.count += batch->count;
    free(batch->records);
    *batch = (struct memory_batch){0};
}
