/* An ONNX file opened with the engine, offline: for `inspect`, `run`, and the check before `seal`.
 *
 * Ordinary memory, since the model lies in the clear on this machine's disk. Input: hostile. */
#ifndef ADMIN_MODEL_FILE_H
#define ADMIN_MODEL_FILE_H

#include "engine/session.h"

struct model_file;

MUST_USE enum status model_file_open(const char *path, size_t threads, struct model_file **file,
                                     struct error *error);
void model_file_close(struct model_file *file); /* NULL is fine */
struct session *model_file_session(struct model_file *file);
size_t model_file_size(const struct model_file *file);

#endif
