/* Outputs that are sequences of maps, as tensors.
 *
 * Exporters of classifiers end a graph with ZipMap, which makes a map from label to score of each
 * row. Callers whose protocol has only tensors take ZipMap's input instead, under the output's own
 * name, and the labels beside it: the same answer, column by column.
 *
 * Threads: while a model is opened. Input: hostile. */
#ifndef ENGINE_MAPS_H
#define ENGINE_MAPS_H

#include "engine/model/graph.h"
#include "engine/session.h"

/* Each output of the main graph that a ZipMap makes becomes that node's input, and ports[i], where
 * i is the output, gets the labels. Call it before the ports get their types. */
void maps_replace(struct graph *g, struct session_port *ports);

#endif
