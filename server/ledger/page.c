#include "server/ledger/page.h"

#include "base/message_table.h"

#include <stdlib.h>
#include <string.h>

#define CLOSING_MAX 512 /* room kept for the end */

enum status page_open(struct page *page, const char *opening, uint32_t limit, struct error *error) {
    *page = (struct page){.text = malloc(MESSAGE_RESULT_MAX), .limit = limit ? limit : 1};
    if (!page->text)
        return status_fail(error, STATUS_UNAVAILABLE, "memory is short");
    page->out = buf_of(page->text, MESSAGE_RESULT_MAX);
    buf_string(&page->out, opening);
    return STATUS_OK;
}

bool page_add(struct page *page, const void *json, size_t size) {
    if (page->count == page->limit || page->out.size + size + CLOSING_MAX > page->out.capacity)
        return false;
    if (page->count++)
        buf_u8(&page->out, ',');
    buf_bytes(&page->out, json, size);
    return true;
}

enum status page_add_value(struct page *page, json_t *value, struct error *error) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (!text)
        return status_fail(error, STATUS_UNAVAILABLE, "memory is short");
    bool added = page_add(page, text, strlen(text));
    free(text);
    return added ? STATUS_OK : STATUS_RATE;
}

char *page_close(struct page *page, const char *next, size_t *size) {
    char *text = page->text;
    buf_string(&page->out, "]");
    if (next) {
        buf_string(&page->out, ",\"next\":");
        buf_string(&page->out, next);
    }
    buf_string(&page->out, "}");
    *size = page->out.size;
    page->text = NULL;
    return text;
}

void page_drop(struct page *page) {
    free(page->text);
    page->text = NULL;
}
