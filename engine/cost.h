/* What a planned node computes, in multiply-adds: for the operators that dominate, by their
 * definitions; 0 for all others. Shapes are those of the plan. Pure. */
#ifndef ENGINE_COST_H
#define ENGINE_COST_H

#include "engine/plan.h"

uint64_t cost_of(const struct plan_node *node);

#endif
