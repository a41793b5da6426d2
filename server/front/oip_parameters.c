#include "server/front/oip_parameters.h"

#include <stdio.h>
#include <string.h>

void oip_parameters_quote(const struct json_text *text, char out[OIP_QUOTED_MAX]) {
    uint8_t decoded[OIP_QUOTED_MAX - 8];
    size_t size;
    if (!json_text_decode(text, decoded, sizeof decoded, &size))
        snprintf(out, OIP_QUOTED_MAX, "a name of %zu bytes", text->size);
    else {
        for (size_t i = 0; i < size; i++) /* a zero byte would end the message */
            if (decoded[i] < 0x20)
                decoded[i] = '?';
        snprintf(out, OIP_QUOTED_MAX, "\"%.*s\"", (int)size, (const char *)decoded);
    }
}

static enum status refuse(const struct json_text *member, bool repeated, struct error *error) {
    static const char shared[] = "shared_memory_";
    char name[OIP_QUOTED_MAX];
    oip_parameters_quote(member, name);
    if (!repeated && member->size > sizeof shared - 1 &&
        memcmp(member->data, shared, sizeof shared - 1) == 0)
        return status_fail(error, STATUS_INVALID,
                           "parameter %s: shared memory is not offered; send the tensor, and ask "
                           "for the answer, in the body",
                           name);
    return status_fail(error, STATUS_INVALID, "parameter %s is %s", name,
                       repeated ? "repeated" : "not supported");
}

static enum status open_object(struct json_reader *r, struct error *error) {
    enum status status = json_reader_object(r, error);
    return status == STATUS_OK ? STATUS_OK : status_prefix(error, "parameters: ");
}

/* --- of an input, of an output ------------------------------------------------------------- */

enum status oip_parameters_input(struct json_reader *r, bool *has_binary_size,
                                 uint64_t *binary_size, struct error *error) {
    enum status status = open_object(r, error);
    while (status == STATUS_OK) {
        struct json_text member;
        struct json_number number;
        bool more;
        status = json_reader_next_member(r, &member, &more, error);
        if (status != STATUS_OK || !more)
            break;
        bool known = json_text_is(&member, "binary_data_size");
        if (!known || *has_binary_size)
            return refuse(&member, known, error);
        status = json_reader_number(r, &number, error);
        if (status != STATUS_OK)
            status = status_prefix(error, "binary_data_size: ");
        else if (!json_number_u64(&number, binary_size))
            status =
                status_fail(error, STATUS_INVALID, "binary_data_size is an integer, 0 or more");
        *has_binary_size = true;
    }
    return status;
}

static enum status read_classes(struct json_reader *r, uint32_t *classes, struct error *error) {
    struct json_number number;
    uint64_t value;
    enum status status = json_reader_number(r, &number, error);
    if (status != STATUS_OK)
        return status_prefix(error, "classification: ");
    if (!json_number_u64(&number, &value) || value == 0 || value > OIP_CLASSES_MAX)
        return status_fail(error, STATUS_INVALID,
                           "classification is a whole number of classes, from 1 to %d",
                           OIP_CLASSES_MAX);
    *classes = (uint32_t)value;
    return STATUS_OK;
}

enum status oip_parameters_output(struct json_reader *r, struct oip_output_parameters *output,
                                  struct error *error) {
    enum status status = open_object(r, error);
    while (status == STATUS_OK) {
        struct json_text member;
        bool more;
        status = json_reader_next_member(r, &member, &more, error);
        if (status != STATUS_OK || !more)
            break;
        if (json_text_is(&member, "binary_data") && !output->has_binary) {
            output->has_binary = true;
            status = json_reader_boolean(r, &output->binary, error);
            if (status != STATUS_OK)
                status = status_prefix(error, "binary_data: ");
        } else if (json_text_is(&member, "classification") && !output->classes) {
            status = read_classes(r, &output->classes, error);
        } else {
            return refuse(&member,
                          json_text_is(&member, "binary_data") ||
                              json_text_is(&member, "classification"),
                          error);
        }
    }
    return status;
}

/* --- of the request ------------------------------------------------------------------------ */

static enum status read_timeout(struct json_reader *r, struct oip_request_parameters *p,
                                struct error *error) {
    struct json_number number;
    enum status status = json_reader_number(r, &number, error);
    if (status != STATUS_OK)
        return status_prefix(error, "parameter timeout, in microseconds: ");
    if (!json_number_u64(&number, &p->timeout_us))
        return status_fail(error, STATUS_INVALID,
                           "parameter timeout is a whole number of microseconds");
    return STATUS_OK;
}

static enum status read_all_binary(struct json_reader *r, struct oip_request_parameters *p,
                                   struct error *error) {
    if (json_reader_boolean(r, &p->all_binary, error) != STATUS_OK)
        return status_prefix(error, "parameter binary_data_output: ");
    return STATUS_OK;
}

/* A hint among the requests of a model that has levels of priority; none has. */
static enum status read_priority(struct json_reader *r, struct oip_request_parameters *p,
                                 struct error *error) {
    (void)p;
    struct json_number number;
    uint64_t value;
    if (json_reader_number(r, &number, error) != STATUS_OK)
        return status_prefix(error, "parameter priority: ");
    if (!json_number_u64(&number, &value))
        return status_fail(error, STATUS_INVALID, "parameter priority is a whole number");
    return STATUS_OK;
}

static enum status no_sequence(struct error *error) {
    return status_fail(error, STATUS_INVALID,
                       "sequences are not offered: each request stands alone; leave the sequence "
                       "parameters out");
}

static enum status read_sequence_id(struct json_reader *r, struct oip_request_parameters *p,
                                    struct error *error) {
    (void)p;
    enum json_kind kind;
    struct json_number number;
    struct json_text text;
    uint64_t value;
    enum status status = json_reader_peek(r, &kind, error);
    if (status == STATUS_OK && kind == JSON_STRING) {
        status = json_reader_string(r, &text, error);
        if (status == STATUS_OK && text.size)
            return no_sequence(error);
    } else if (status == STATUS_OK) {
        status = json_reader_number(r, &number, error);
        if (status == STATUS_OK && (!json_number_u64(&number, &value) || value))
            return no_sequence(error);
    }
    return status == STATUS_OK ? STATUS_OK : status_prefix(error, "parameter sequence_id: ");
}

static enum status read_sequence_flag(struct json_reader *r, struct oip_request_parameters *p,
                                      struct error *error) {
    (void)p;
    bool value;
    if (json_reader_boolean(r, &value, error) != STATUS_OK)
        return status_prefix(error, "parameters sequence_start and sequence_end: ");
    return value ? no_sequence(error) : STATUS_OK;
}

enum status oip_parameters_request(struct json_reader *r, struct oip_request_parameters *p,
                                   struct error *error) {
    static const struct {
        const char *name;
        enum status (*read)(struct json_reader *, struct oip_request_parameters *, struct error *);
    } parameters[] = {
        {"timeout", read_timeout},
        {"binary_data_output", read_all_binary},
        {"priority", read_priority},
        {"sequence_id", read_sequence_id},
        {"sequence_start", read_sequence_flag},
        {"sequence_end", read_sequence_flag},
    };
    const size_t count = sizeof parameters / sizeof *parameters;
    unsigned seen = 0;
    enum status status = open_object(r, error);
    while (status == STATUS_OK) {
        struct json_text member;
        size_t i = 0;
        bool more;
        status = json_reader_next_member(r, &member, &more, error);
        if (status != STATUS_OK || !more)
            break;
        while (i < count && !json_text_is(&member, parameters[i].name))
            i++;
        if (i == count || seen >> i & 1)
            return refuse(&member, i < count, error);
        seen |= 1u << i;
        status = parameters[i].read(r, p, error);
    }
    return status;
}
