/* Comparison of an output with its reference: types, shapes, strings and integers exactly, floats
 * within a tolerance, NaN equal to NaN. */
#ifndef TESTS_ONNX_COMPARE_H
#define TESTS_ONNX_COMPARE_H

#include "engine/model/tensor.h"
#include "tests/onnx/case.h"

/* False with a reason. */
bool compare_values(const struct value *got, const struct value *want,
                    const struct case_tolerance *t, char *reason, size_t size);

/* Kinds, types and shapes alone. */
bool compare_kinds(const struct value *got, const struct value *want, char *reason, size_t size);

#endif
