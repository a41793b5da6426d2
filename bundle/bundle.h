/* A model as it is sealed: one ONNX file, or a bundle: a tar archive with model.onnx, the data
 * files that its tensors name, and, where wanted, manifest.yaml and files of labels.
 * docs/BUNDLES.md is the description for people.
 *
 * Opening checks everything in one place, for the worker and, before sealing, for the command line:
 * the archive, the names, the manifest, the model with its external data, the labels against the
 * model's outputs, and that nothing is there that neither model nor manifest refers to.
 *
 * Ownership: the bytes given (or the files found) must stay as they are for as long as the bundle
 * lives; weights are used where they lie. The ordinary heap holds names of files, the manifest and
 * a list of labels, never weights; weights go where session_options says.
 *
 * Failure: STATUS_INVALID (malformed), STATUS_UNSERVABLE (well-formed, not served), and what
 * session_open returns. Messages may be shown to the tenant. Threads: as session.h. Input: hostile.
 */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include "engine/session.h"

struct bundle;

/* `bytes`: a tar archive or an ONNX file. options->external is set here. */
MUST_USE enum status bundle_open(struct str bytes, const struct session_options *options,
                                 struct bundle **bundle, struct error *error);
/* Files of a folder instead: `files` finds them by name. */
MUST_USE enum status bundle_open_files(const struct external *files,
                                       const struct session_options *options,
                                       struct bundle **bundle, struct error *error);
void bundle_free(struct bundle *bundle); /* NULL is fine */

struct session *bundle_session(const struct bundle *bundle);
/* What the manifest says; NULL where it says nothing. */
const char *bundle_documentation(const struct bundle *bundle);
/* Labels of the session's output i, *count of them; NULL where it has none. Where the manifest
 * gives none, those that the model has in itself (options->maps_as_tensors), if they are fit to be
 * shown: what labels.h asks of a file of them. */
const struct str *bundle_labels(const struct bundle *bundle, size_t output, size_t *count);

/* Asks `files` for each file that a bundle made of them has to have, loading nothing. */
MUST_USE enum status bundle_refer(const struct external *files, struct error *error);

#endif
