/* One conformance case in ONNX's usual layout: FOLDER/model.onnx and FOLDER/test_data_set_N with
 * input_I.pb and output_I.pb.
 *
 * Threads: none. Input: test data, but parsed by the engine's own readers. */
#ifndef TESTS_ONNX_CASE_H
#define TESTS_ONNX_CASE_H

#include <stdbool.h>
#include <stddef.h>

struct case_tolerance {
    double rtol, atol;
    double ulp;   /* 0: not asked for; else floats may differ by so many units in the last place */
    double steps; /* integers of 8 and 16 bits may differ by so much: what quantised models give */
};

enum case_result { CASE_PASS, CASE_FAIL, CASE_SKIP };

/* `folder` is a case; or the file of a light model, X.onnx with X_output_I.pb beside it, whose
 * inputs are arange(n) / n. Run it in this process; `reason` says why it failed or was skipped. */
enum case_result case_run(const char *folder, const struct case_tolerance *t, char *reason,
                          size_t size);

#endif
