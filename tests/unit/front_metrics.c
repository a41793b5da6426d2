/* The page of metrics: every line is of Prometheus' text format, and the numbers are those counted.
 */
#include "server/front/front.h"
#include "server/front/metrics.h"

#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

static char page[METRICS_MAX + 1];

static void write_page(struct front *front) {
    struct buf out = buf_of(page, METRICS_MAX);
    metrics_write(front, &out);
    cr_assert_not(out.failed);
    page[out.size] = '\0';
}

static double value(const char *series) {
    const char *at = page;
    size_t size = strlen(series);
    while ((at = strstr(at, series)) && !((at == page || at[-1] == '\n') && at[size] == ' '))
        at += size;
    double found = -1;
    if (at)
        cr_assert_eq(sscanf(at + size, "%lf", &found), 1);
    return found;
}

static struct front *front(void) {
    static struct front f;
    static struct config config;
    config.limits.connections = 77;
    f = (struct front){.config = &config};
    ledger_link_init(&f.ledger);
    workers_init(&f.workers);
    return &f;
}

Test(front_metrics, every_line_is_of_the_format) {
    struct front *f = front();
    regex_t line;
    for (int class = 0; class < COUNTERS_CLASSES; class ++)
        for (int i = 0; i < 100; i++)
            counters_add(&f->counters,
                         &(struct counters_request){.class = (enum counters_class) class,
                                                    .http_status = 200 + 9 * i,
                                                    .bytes_in = UINT64_MAX >> 8,
                                                    .duration_ns = UINT64_C(1) << (i % 60)});
    write_page(f);
    cr_assert_eq(regcomp(&line,
                         "^(# (HELP|TYPE) [a-z_]+ .+|"
                         "[a-z_]+([{][a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*[}])? [0-9.]+)$",
                         REG_EXTENDED),
                 0);
    size_t lines = 0;
    for (char *at = page, *end; *at; at = end + 1, lines++) {
        end = strchr(at, '\n');
        cr_assert(end, "the page ends with a line's end");
        *end = '\0';
        cr_expect_eq(regexec(&line, at, 0, NULL, 0), 0, "%s", at);
    }
    regfree(&line);
    cr_expect_gt(lines, 100);
}

Test(front_metrics, numbers_are_those_counted) {
    struct front *f = front();
    const struct counters_request requests[] = {
        {COUNTERS_INFER, 200, 10, 100, 50000},
        {COUNTERS_INFER, 200, 10, 100, 2000000},
        {COUNTERS_INFER, 503, 10, 20, UINT64_C(60000000000)},
        {COUNTERS_TENANT, 777, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        counters_add(&f->counters, &requests[i]);
    atomic_store(&f->in_flight, 3);
    write_page(f);
    cr_expect_eq(value("strongroom_requests_total{class=\"infer\",status=\"200\"}"), 2);
    cr_expect_eq(value("strongroom_requests_total{class=\"infer\",status=\"503\"}"), 1);
    cr_expect_eq(value("strongroom_requests_total{class=\"tenant\",status=\"other\"}"), 1);
    cr_expect_eq(value("strongroom_requests_total{class=\"upload\",status=\"200\"}"), -1);
    cr_expect_eq(value("strongroom_body_bytes_total{class=\"infer\",direction=\"in\"}"), 30);
    cr_expect_eq(value("strongroom_body_bytes_total{class=\"infer\",direction=\"out\"}"), 220);
    cr_expect_eq(value("strongroom_requests_in_flight"), 3);
    cr_expect_eq(value("strongroom_connections_limit"), 77);
    cr_expect_eq(value("strongroom_ready"), 0);
    static const char bucket[] = "strongroom_request_duration_seconds_bucket{class=\"infer\",le=";
    char series[128];
    double last = 0;
    for (size_t i = 0; i < COUNTERS_BUCKETS; i++) {
        snprintf(series, sizeof series, "%s\"%g\"}", bucket, (double)counters_bound_ns(i) / 1e9);
        double now = value(series);
        cr_expect_geq(now, last, "%s", series);
        last = now;
    }
    snprintf(series, sizeof series, "%s\"0.0001\"}", bucket);
    cr_expect_eq(value(series), 1);
    cr_expect_eq(last, 2, "one took longer than the last bound");
    snprintf(series, sizeof series, "%s\"+Inf\"}", bucket);
    cr_expect_eq(value(series), 3);
    cr_expect_eq(value("strongroom_request_duration_seconds_count{class=\"infer\"}"), 3);
    cr_expect_float_eq(value("strongroom_request_duration_seconds_sum{class=\"infer\"}"), 60.00205,
                       1e-6);
}
