/* A model as it lies on the operator's disk, for `inspect`, `run` and `seal`: an ONNX file, a
 * bundle (.tar), or a folder with model.onnx, which is sealed as a bundle.
 *
 *   model_file_open   maps the file, or opens the folder
 *   model_file_load   opens the model with the engine, and checks all that a server would check;
 *                     model_file_refer only finds out which files of a folder belong in the bundle
 *   model_file_read   then gives the bytes to seal, one after the other
 *
 * Of a folder, only files that the model or the manifest refers to are taken; they are opened when
 * they are asked for, beneath the folder and through no symbolic link. Files are mapped, not read
 * into memory, so that a model takes what the engine packs and no second copy; a file that another
 * program cuts meanwhile ends the command (SIGBUS).
 *
 * Ordinary memory, since the model lies in the clear on this machine's disk. Input: hostile. */
#ifndef ADMIN_MODEL_FILE_H
#define ADMIN_MODEL_FILE_H

#include "bundle/bundle.h"

struct model_file;

MUST_USE enum status model_file_open(const char *path, struct model_file **file,
                                     struct error *error);
void model_file_close(struct model_file *file); /* NULL is fine */

MUST_USE enum status model_file_load(struct model_file *file, size_t threads, struct error *error);
MUST_USE enum status model_file_refer(struct model_file *file, struct error *error);
/* Gives back the engine's memory. */
void model_file_unload(struct model_file *file);
/* NULL while it is not loaded. */
struct bundle *model_file_bundle(const struct model_file *file);
struct session *model_file_session(const struct model_file *file);

/* Bytes that model_file_read gives in all. */
uint64_t model_file_size(const struct model_file *file);
/* A stream_read of crypto/stream.h; `file` is a struct model_file. After load or refer. */
enum status model_file_read(void *file, void *data, size_t size, size_t *got, struct error *error);

bool model_file_is_folder(const struct model_file *file);
/* The files of a folder that are in the bundle, and names in the folder that are not. NULL at the
 * end. */
const char *model_file_member(const struct model_file *file, size_t index, uint64_t *size);
MUST_USE enum status model_file_left_out(const struct model_file *file,
                                         void (*fn)(void *context, const char *name), void *context,
                                         struct error *error);

#endif
