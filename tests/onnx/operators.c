/* onnx-operators: the engine's operator table, as docs/OPERATORS.md, or with --list one row a line:
 * domain, name, first opset, last opset (0: still there). */
#include "engine/model/limits.h"
#include "engine/ops/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *domain, *name;
    int since, until;
};

static int compare(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    const int d = strcmp(x->domain, y->domain), n = strcmp(x->name, y->name);
    return d ? d : n ? n : x->since - y->since;
}

static void print_list(const struct entry *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        printf("%s %s %d %d\n", rows[i].domain, rows[i].name, rows[i].since, rows[i].until);
}

static size_t operators_of(const struct entry *rows, size_t n, const char *domain) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].domain, domain) == 0 &&
            (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0 ||
             strcmp(rows[i].domain, rows[i - 1].domain) != 0))
            count++;
    return count;
}

/* All rows of one operator in one line: the versions from which its behaviour differs. */
static size_t print_operator(const struct entry *rows, size_t n, size_t i) {
    const struct entry *first = &rows[i];
    int until = first->until;
    printf("| %s | ", first->name);
    for (; i < n && strcmp(rows[i].domain, first->domain) == 0 &&
           strcmp(rows[i].name, first->name) == 0;
         i++) {
        printf("%s%d", &rows[i] == first ? "" : ", ", rows[i].since);
        until = rows[i].until;
    }
    if (until > 0)
        printf(" | %d |\n", until);
    else
        printf(" | |\n");
    return i;
}

static void print_page(const struct entry *rows, size_t n) {
    printf("# Operators\n\nMade from the engine's operator table by the build target "
           "`operators-page`; a test fails when this page is stale.\n\n"
           "A model may import ai.onnx up to opset %d. *From opset*: where several are given, the "
           "operator behaves differently from each of them on. *Up to*: the last opset that has "
           "the operator. Which element types the published schemas allow and the engine does not "
           "take is what `tests/onnx/schema_gaps.py` lists.\n",
           LIMITS_OPSET_NEWEST);
    for (size_t i = 0; i < n;) {
        if (i == 0 || strcmp(rows[i].domain, rows[i - 1].domain) != 0)
            printf(
                "\n## %s\n\n%zu operators.\n\n| operator | from opset | up to |\n|---|---|---|\n",
                rows[i].domain, operators_of(rows, n, rows[i].domain));
        i = print_operator(rows, n, i);
    }
}

int main(int argc, char **argv) {
    const size_t n = registry_count();
    struct entry *rows = calloc(n, sizeof *rows);
    if (!rows)
        return 1;
    for (size_t i = 0; i < n; i++) {
        const struct op_row *r = registry_row(i);
        rows[i] = (struct entry){r->domain ? r->domain : "ai.onnx", r->name, r->since, r->until};
    }
    qsort(rows, n, sizeof *rows, compare);
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        print_list(rows, n);
    else
        print_page(rows, n);
    free(rows);
    return 0;
}
