/* The signature of a model as JSON, for front:
 *
 *   {"platform":"onnx_onnxv1","documentation","inputs":[{"name","datatype","shape"}],
 *    "outputs":[{"name","datatype","shape","labels":["cat","dog"]}]}
 *
 * documentation and labels are there where the bundle has them. -1 for a dimension that varies;
 * [-1] where the model declares no shape. Names are the model's own and were hostile: they must be
 * UTF-8 of 1 to 255 bytes, and are escaped. */
#ifndef SERVER_WORKER_SIGNATURE_H
#define SERVER_WORKER_SIGNATURE_H

#include "base/buf.h"
#include "base/status.h"
#include "bundle/bundle.h"

/* The Open Inference Protocol's name of an element type, NULL where it has none. */
const char *signature_datatype(enum dtype dtype);

/* `outputs` are the session's indices of the outputs that can be named. STATUS_UNSERVABLE where an
 * input cannot be. */
MUST_USE enum status signature_write(const struct bundle *bundle, const uint32_t *outputs,
                                     size_t output_count, struct buf *out, struct error *error);

#endif
