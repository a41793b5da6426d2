/* Bounds on what a model may ask for, in one place. The session's options may lower them. */
#ifndef ENGINE_MODEL_LIMITS_H
#define ENGINE_MODEL_LIMITS_H

#define LIMITS_NODES 200000      /* after functions are expanded, subgraphs included */
#define LIMITS_VALUES 1000000    /* names of values, subgraphs included */
#define LIMITS_GRAPH_DEPTH 8     /* subgraphs within subgraphs, calls within functions */
#define LIMITS_ATTRIBUTES 256    /* of one node */
#define LIMITS_NODE_VALUES 16384 /* inputs, or outputs, of one node */
#define LIMITS_FUNCTIONS 4096    /* model-local functions */
#define LIMITS_OPSETS 64
#define LIMITS_OPSET_NEWEST 28 /* of ai.onnx: a newer one may mean something else */
#define LIMITS_PATH 24         /* messages within messages, for the path in an error */
#define LIMITS_TRIPS 1000000   /* iterations of one Loop or Scan */

#endif
