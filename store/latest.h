/* Which of a model's versions is the latest: the rule of store_model_find, fed with one version
 * after another in the order of their making, shared by the backends.
 *
 * Threads: pure functions on the caller's struct. Input: rows of the store. */
#ifndef STORE_LATEST_H
#define STORE_LATEST_H

#include "store/types.h"

struct latest {
    bool found;
    struct store_model best_number; /* greatest of those so far, where all_numbers */
    struct store_model last_made;
    bool all_numbers;
    bool ready; /* what is held is ready, so that others no longer count */
};

struct latest latest_of_none(void);
void latest_consider(struct latest *latest, const struct store_model *model);
/* NULL where no version was considered. */
const struct store_model *latest_model(const struct latest *latest);

#endif
