#include "store/latest.h"

#include <string.h>

static bool is_number(const char *version) {
    return version[0] != '\0' && version[strspn(version, "0123456789")] == '\0';
}

/* Two versions of digits only, by their number, however long: <0, 0, >0. */
static int compare_numbers(const char *a, const char *b) {
    a += strspn(a, "0");
    b += strspn(b, "0");
    size_t la = strlen(a), lb = strlen(b);
    if (la != lb)
        return la < lb ? -1 : 1;
    return memcmp(a, b, la);
}

struct latest latest_of_none(void) {
    return (struct latest){.all_numbers = true};
}

void latest_consider(struct latest *latest, const struct store_model *model) {
    bool ready = model->state == STORE_MODEL_READY;
    if (latest->ready && !ready)
        return;
    if (ready && !latest->ready) {
        *latest = latest_of_none();
        latest->ready = true;
    }
    bool number = is_number(model->version);
    if (!latest->found || (number && latest->all_numbers &&
                           compare_numbers(model->version, latest->best_number.version) >= 0))
        latest->best_number = *model;
    latest->all_numbers = latest->all_numbers && number;
    latest->last_made = *model;
    latest->found = true;
}

const struct store_model *latest_model(const struct latest *latest) {
    if (!latest->found)
        return NULL;
    return latest->all_numbers ? &latest->best_number : &latest->last_made;
}
