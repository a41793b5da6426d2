/* The operator table as a list, for what describes it. The engine itself uses op_find.
 *
 * Pure: the table is constant. */
#ifndef ENGINE_OPS_REGISTRY_H
#define ENGINE_OPS_REGISTRY_H

#include "engine/ops/op.h"

size_t registry_count(void);
/* Row i < registry_count(), in no particular order. */
const struct op_row *registry_row(size_t i);

#endif
