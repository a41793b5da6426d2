/* What of a model cannot run: every node's types, shapes and attributes are looked at, not only up
 * to the first that is refused, so that whoever exports a model learns all at once.
 *
 * Dimensions that vary are tried at several sizes, from 2 to 224, and a node counts that is refused
 * at all of them that reach it: one size may just not suit the model. Nodes behind a refused one,
 * or whose shapes hang on values, are not known, and not counted. In subgraphs, bodies of loops are
 * looked at as in their first turn; in the branches of If, only types and attributes count, for a
 * branch may be there for other shapes.
 *
 * Threads: as the executor. */
#ifndef ENGINE_SURVEY_H
#define ENGINE_SURVEY_H

#include "engine/executor.h"

/* `why` names the node, and what it has that is not served. */
typedef void survey_fn(void *arg, const char *why);

MUST_USE enum status survey_graph(struct executor *e, const struct graph *g,
                                  const struct type_info *const *inputs, survey_fn *fn, void *arg,
                                  struct error *error);

#endif
