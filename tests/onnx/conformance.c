/* onnx-conformance: runs cases in ONNX's usual layout through the engine and compares outputs.
 *
 *     onnx-conformance [--ulp N] [--steps N] [--rtol R] [--atol A] [--list FILE | --expect FILE]
 *                      [--in-process] [--quiet] DIR...
 *
 * A DIR is a case, a folder of cases, or a light model (see case.h). Each case runs in a child of
 * its own with a time limit, so that a crash is a failure and not the end; --in-process runs them
 * here, for a debugger. --list restricts to the case names in a file, one a line; --expect runs
 * all, and what passes must be just those names: one that passes and is not listed is a failure
 * too. A line for each failure and each skip with the reason; the last line is "N passed, N failed,
 * N skipped". Exit status 0 only if nothing failed.
 */
#include "tests/onnx/case.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 60 /* for one case */
#define REASON 1400

struct options {
    struct case_tolerance tolerance;
    bool in_process, quiet;
    char **names; /* of --list or --expect, sorted */
    size_t name_count;
    bool expect;
};

struct counts {
    size_t passed, failed, skipped;
};

static enum case_result run_child(const struct options *o, const char *folder, char *reason) {
    int ends[2];
    if (pipe(ends) != 0)
        return CASE_FAIL;
    pid_t child = fork();
    if (child == 0) {
        struct {
            enum case_result result;
            char reason[REASON];
        } answer = {0};
        alarm(SECONDS);
        answer.result = case_run(folder, &o->tolerance, answer.reason, sizeof answer.reason);
        ssize_t wrote = write(ends[1], &answer, sizeof answer);
        _exit(wrote == (ssize_t)sizeof answer ? 0 : 1);
    }
    close(ends[1]);
    struct {
        enum case_result result;
        char reason[REASON];
    } answer = {.result = CASE_FAIL};
    ssize_t got = child > 0 ? read(ends[0], &answer, sizeof answer) : -1;
    int state = 0;
    close(ends[0]);
    if (child > 0)
        waitpid(child, &state, 0);
    if (got == (ssize_t)sizeof answer) {
        memcpy(reason, answer.reason, REASON);
        return answer.result;
    }
    if (child > 0 && WIFSIGNALED(state) && WTERMSIG(state) == SIGALRM)
        snprintf(reason, REASON, "no answer within %d seconds", SECONDS);
    else if (child > 0 && WIFSIGNALED(state))
        snprintf(reason, REASON, "died of signal %d (%s)", WTERMSIG(state),
                 strsignal(WTERMSIG(state)));
    else
        snprintf(reason, REASON, "ended without an answer");
    return CASE_FAIL;
}

static const char *base_name(const char *folder) {
    const char *slash = strrchr(folder, '/');
    return slash ? slash + 1 : folder;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void run_case(const struct options *o, const char *folder, struct counts *n) {
    char reason[REASON] = "";
    const char *name = base_name(folder);
    const bool listed =
        o->names && bsearch(&name, o->names, o->name_count, sizeof *o->names, by_name);
    if (o->names && !listed && !o->expect)
        return;
    enum case_result r = o->in_process ? case_run(folder, &o->tolerance, reason, sizeof reason)
                                       : run_child(o, folder, reason);
    if (r == CASE_PASS && o->expect && !listed) {
        r = CASE_FAIL;
        snprintf(reason, sizeof reason, "it passes, and is not in the list of those that do");
    }
    if (r == CASE_PASS) {
        n->passed++;
        if (!o->quiet)
            printf("pass %s\n", name);
    } else if (r == CASE_SKIP) {
        n->skipped++;
        printf("skip %s: %s\n", name, reason);
    } else {
        n->failed++;
        printf("FAIL %s: %s\n", name, reason);
    }
    fflush(stdout);
}

static bool has_model(const char *folder) {
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/model.onnx", folder);
    return n > 0 && (size_t)n < sizeof path && stat(path, &st) == 0;
}

/* X.onnx with X_output_0.pb beside it. */
static bool is_light(const char *path) {
    size_t n = strlen(path);
    char output[4352];
    struct stat st;
    if (n < 6 || strcmp(path + n - 5, ".onnx") != 0)
        return false;
    snprintf(output, sizeof output, "%.*s_output_0.pb", (int)n - 5, path);
    return stat(output, &st) == 0;
}

static bool run_folder(const struct options *o, const char *folder, struct counts *n) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    bool any = false;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && (has_model(path) || is_light(path))) {
            run_case(o, path, n);
            any = true;
        }
        free(entries[i]);
    }
    free(entries);
    return any;
}

static bool read_list(struct options *o, const char *path) {
    FILE *f = fopen(path, "r");
    char line[512];
    size_t capacity = 0;
    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (o->name_count == capacity) {
            capacity = capacity ? capacity * 2 : 256;
            char **bigger = realloc(o->names, capacity * sizeof *bigger);
            if (!bigger)
                break;
            o->names = bigger;
        }
        o->names[o->name_count++] = strdup(line);
    }
    fclose(f);
    qsort(o->names, o->name_count, sizeof *o->names, by_name);
    return o->name_count > 0;
}

static const char usage_text[] =
    "usage: onnx-conformance [--ulp N] [--steps N] [--rtol R] [--atol A] "
    "[--list FILE | --expect FILE] [--in-process] [--quiet] DIR...\n";

static int usage(const char *why) {
    fprintf(stderr, "%s\n%s", why, usage_text);
    return 2;
}

static int help(void) {
    printf("%s\n"
           "Runs the test cases of each DIR (a case with model.onnx and test_data_set_*, a folder\n"
           "of cases, or a light model) and compares what comes out with what is expected.\n\n"
           "  --rtol R      a value may be off by R of what is expected (1e-3) ...\n"
           "  --atol A      ... and A (1e-7); real models are published with 1e-5\n"
           "  --ulp N       or by N units in the last place\n"
           "  --list FILE   only the cases whose names stand in FILE, one a line\n"
           "  --in-process  no process of its own for each case, for a debugger\n"
           "  --quiet       no line for what passes\n",
           usage_text);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    /* The conformance suite's own tolerance. */
    struct options o = {.tolerance = {.rtol = 1e-3, .atol = 1e-7}};
    struct counts n = {0};
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        bool value = at + 1 < argc;
        if (strcmp(argv[at], "--help") == 0)
            return help();
        if (strcmp(argv[at], "--in-process") == 0)
            o.in_process = true;
        else if (strcmp(argv[at], "--quiet") == 0)
            o.quiet = true;
        else if (strcmp(argv[at], "--ulp") == 0 && value)
            o.tolerance.ulp = strtod(argv[++at], NULL);
        else if (strcmp(argv[at], "--steps") == 0 && value)
            o.tolerance.steps = strtod(argv[++at], NULL);
        else if (strcmp(argv[at], "--rtol") == 0 && value)
            o.tolerance.rtol = strtod(argv[++at], NULL);
        else if (strcmp(argv[at], "--atol") == 0 && value)
            o.tolerance.atol = strtod(argv[++at], NULL);
        else if ((strcmp(argv[at], "--list") == 0 || strcmp(argv[at], "--expect") == 0) && value) {
            o.expect = argv[at][2] == 'e';
            if (!read_list(&o, argv[++at]))
                return usage("the list cannot be read, or is empty");
        } else
            return usage("unknown option");
    }
    if (at == argc)
        return usage("no DIR is given");
    for (; at < argc; at++) {
        size_t length = strlen(argv[at]);
        while (length > 1 && argv[at][length - 1] == '/')
            argv[at][--length] = '\0';
        if (has_model(argv[at]) || is_light(argv[at]))
            run_case(&o, argv[at], &n);
        else if (!run_folder(&o, argv[at], &n))
            fprintf(stderr, "%s: no cases in it\n", argv[at]), n.failed++;
    }
    size_t seen = n.passed + (o.expect ? 0 : n.failed + n.skipped);
    if (o.names && seen < o.name_count) {
        printf("FAIL list: %zu cases are named, %zu %s\n", o.name_count, seen,
               o.expect ? "passed" : "were found");
        n.failed++;
    }
    printf("%zu passed, %zu failed, %zu skipped\n", n.passed, n.failed, n.skipped);
    return n.failed ? 1 : 0;
}
