/* manifest.yaml: what a bundle says about its model.
 *
 *   documentation: |              # text for people, at most 4096 bytes
 *     Tells the language of a sentence.
 *   labels:                       # names of an output's classes: one line of the file for each
 *     - output: probabilities
 *       file: labels.txt
 *   batching: off                 # requests are run one by one: the only value of this version
 *   precision: float32            # nothing is computed with less: the only value of this version
 *
 * Every field may be left out; one that is not known is refused, and so is a value that this
 * version does not do. Aliases are refused.
 *
 * Ownership: manifest_free. Failure: STATUS_INVALID, with the line; STATUS_UNSERVABLE for a value
 * that is known and not served. The heap holds the parsed text. Threads: any. Input: hostile. */
#ifndef BUNDLE_MANIFEST_H
#define BUNDLE_MANIFEST_H

#include "engine/model/tensor.h"

#define MANIFEST_BYTES_MAX 65536
#define MANIFEST_DOCUMENTATION_MAX 4096
#define MANIFEST_LABELS_MAX 64 /* outputs */

struct manifest_labels {
    char *output, *file;
};

struct manifest {
    char *documentation; /* NULL: none */
    char *batching, *precision;
    struct manifest_labels *labels;
    unsigned label_count;
};

MUST_USE enum status manifest_parse(struct str yaml, struct manifest **manifest,
                                    struct error *error);
void manifest_free(struct manifest *manifest); /* NULL is fine */

#endif
