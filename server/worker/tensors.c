#include "server/worker/tensors.h"

#include "base/buf.h"
#include "base/checked.h"
#include "engine/model/graph.h"

#include <string.h>

/* --- in --------------------------------------------------------------------------------------- */

/* Each element is a u32 length and its bytes; the views point into the copy. */
static enum status read_strings(struct tensor *tensor, const uint8_t *copy, size_t size,
                                struct arena *arena, struct error *error) {
    struct cursor in = cursor_of(copy, size);
    size_t count = (size_t)tensor->count;
    /* An element takes four bytes at least: a count past that is refused before it is believed. */
    if (count > size / 4)
        return status_fail(error, STATUS_INVALID, "%zu bytes cannot hold %zu strings", size, count);
    struct str *strings = arena_array(arena, count ? count : 1, sizeof *strings);
    if (!strings)
        return arena_exhausted(arena, count * sizeof *strings, error);
    for (size_t i = 0; i < count; i++) {
        size_t length = cursor_u32(&in);
        strings[i] = (struct str){(const char *)cursor_take(&in, length), length};
    }
    if (!cursor_done(&in))
        return status_fail(error, STATUS_INVALID,
                           "the lengths of its %zu strings do not add up to its %zu bytes", count,
                           size);
    tensor->data = strings;
    return STATUS_OK;
}

static enum status read_input(const struct ring_tensor *from, const uint8_t *data,
                              struct arena *arena, struct value *value, struct error *error) {
    struct tensor tensor = {0};
    size_t size = (size_t)from->bytes;
    enum status status = STATUS_OK;
    if (from->type >= DTYPE_COUNT)
        return status_fail(error, STATUS_INVALID, "unknown element type %u", from->type);
    status = tensor_shape(&tensor, (enum dtype)from->type, (int)from->rank, from->dims, error);
    if (status != STATUS_OK)
        return status;
    if (tensor.dtype != DTYPE_STRING && tensor.bytes != size)
        return status_fail(error, STATUS_INVALID, "found %zu bytes, expected %zu for its shape",
                           size, tensor.bytes);
    uint8_t *copy = arena_alloc(arena, size);
    if (!copy)
        return arena_exhausted(arena, size, error);
    memcpy(copy, data + from->offset, size);
    if (tensor.dtype == DTYPE_STRING)
        status = read_strings(&tensor, copy, size, arena, error);
    else
        tensor.data = copy;
    if (tensor.dtype == DTYPE_BOOL) /* whatever is not zero is true, and true is one */
        for (size_t i = 0; i < size; i++)
            copy[i] = copy[i] != 0;
    if (status == STATUS_OK)
        *value = (struct value){.kind = VALUE_TENSOR, .tensor = tensor};
    return status;
}

enum status tensors_in(const struct session *session, const struct ring_request *request,
                       const uint8_t *data, struct arena *arena, struct value *values, size_t count,
                       struct error *error) {
    char name[80];
    memset(values, 0, count * sizeof *values);
    for (uint32_t i = 0; i < request->input_count; i++) {
        const struct ring_tensor *from = &request->inputs[i];
        if (from->index >= count)
            return status_fail(error, STATUS_INVALID, "the model has %zu inputs, not %u", count,
                               from->index + 1);
        graph_name_text(session_input(session, from->index)->name, name, sizeof name);
        if (values[from->index].kind != VALUE_NONE)
            return status_fail(error, STATUS_INVALID, "input \"%s\" is given twice", name);
        if (read_input(from, data, arena, &values[from->index], error) != STATUS_OK)
            return status_prefix(error, "input \"%s\": ", name);
    }
    return STATUS_OK;
}

/* --- out -------------------------------------------------------------------------------------- */

static enum status does_not_fit(const struct tensors_out *to, struct error *error) {
    return status_fail(error, STATUS_TOO_LARGE,
                       "the answer is too large: inputs and outputs of a request take at most %llu "
                       "bytes together",
                       (unsigned long long)to->capacity);
}

static enum status write_output(const struct tensors_out *to, const struct value *value,
                                struct ring_tensor *tensor, uint64_t *end, struct error *error) {
    const struct tensor *from = &value->tensor;
    size_t start, stop, size = from->bytes;
    if (value->kind != VALUE_TENSOR || from->rank > RING_RANK_MAX || (from->count && !from->data))
        return status_fail(error, STATUS_UNSERVABLE,
                           "it is not a tensor, so an answer cannot carry it");
    const struct str *strings = from->data;
    if (from->dtype == DTYPE_STRING) {
        size = 0;
        for (int64_t i = 0; i < from->count; i++)
            if (strings[i].size > UINT32_MAX || !checked_add(size, 4 + strings[i].size, &size))
                return does_not_fit(to, error);
    }
    if (!checked_align((size_t)*end, RING_ALIGN, &start) || !checked_add(start, size, &stop) ||
        stop > to->capacity)
        return does_not_fit(to, error);
    tensor->type = (uint32_t)from->dtype;
    tensor->rank = (uint32_t)from->rank;
    for (int i = 0; i < from->rank; i++)
        tensor->dims[i] = from->dims[i];
    tensor->offset = start;
    tensor->bytes = size;
    if (from->dtype == DTYPE_STRING) {
        struct buf out = buf_of(to->data + start, size);
        for (int64_t i = 0; i < from->count; i++) {
            buf_u32(&out, (uint32_t)strings[i].size);
            buf_bytes(&out, strings[i].data, strings[i].size);
        }
    } else if (size) {
        memcpy(to->data + start, from->data, size);
    }
    *end = stop;
    return STATUS_OK;
}

enum status tensors_out(const struct tensors_out *to, const struct value *values,
                        struct ring_response *response, struct error *error) {
    char name[80];
    uint64_t end = to->start;
    uint32_t count = 0;
    for (size_t i = 0; i < to->output_count; i++) {
        if (!(to->wanted >> i & 1))
            continue;
        struct ring_tensor *tensor = &response->outputs[count];
        *tensor = (struct ring_tensor){.index = (uint32_t)i};
        enum status status = write_output(to, &values[to->outputs[i]], tensor, &end, error);
        response->output_end = end; /* also on failure: what was written must be wiped */
        if (status != STATUS_OK)
            return status_prefix(error, "output \"%s\": ",
                                 graph_name_text(session_output(to->session, to->outputs[i])->name,
                                                 name, sizeof name));
        count++;
    }
    response->output_count = count;
    response->output_end = end;
    return STATUS_OK;
}
