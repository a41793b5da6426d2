#include "admin/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/output.h"
#include "admin/terminal.h"

#define FIRST_SECONDS 0.2  /* what is over sooner needs no line */
#define REDRAW_SECONDS 0.1 /* calm for the eye, and nothing for the clock */
#define BAR_MIN 10
#define BAR_MAX 40
#define NEWEST 0.25 /* weight of the newest stretch in the rate: steady, and soon right again */

static struct {
    const char *what; /* NULL: none is under way */
    uint64_t total, done_before;
    double started, drawn, rate;
    bool shown;
} line;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void format_left(char *text, size_t size, double left) {
    long s = left < 360000 ? (long)(left + 0.999) : 360000;
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld left", s / 60, s % 60);
}

void progress_line(char *text, size_t size, size_t width, const char *what, uint64_t done,
                   uint64_t total, double rate) {
    char sizes[64], of[32], speed[48] = "", left[40] = "", bar[BAR_MAX + 5] = "", percent[16] = "";
    if (total && done > total)
        done = total;
    output_bytes((int64_t)done, sizes, sizeof sizes);
    if (total) {
        double part = (double)done / (double)total;
        output_bytes((int64_t)total, of, sizeof of);
        size_t used = strlen(sizes);
        snprintf(sizes + used, sizeof sizes - used, " of %s", of);
        snprintf(percent, sizeof percent, "  %3d%%", (int)(100 * part));
    }
    if (rate > 0) {
        char each[32];
        output_bytes((int64_t)rate, each, sizeof each);
        snprintf(speed, sizeof speed, "  %s/s", each);
        if (total) {
            snprintf(left, sizeof left, "  ");
            format_left(left + 2, sizeof left - 2, (double)(total - done) / rate);
        }
    }
    size_t taken =
        strlen(what) + strlen(percent) + 2 + strlen(sizes) + strlen(speed) + strlen(left);
    if (total && taken + BAR_MIN + 4 <= width) {
        size_t cells = width - taken - 4;
        cells = cells > BAR_MAX ? BAR_MAX : cells;
        size_t full = (size_t)((double)cells * (double)done / (double)total);
        snprintf(bar, sizeof bar, "  [");
        memset(bar + 3, '#', full);
        memset(bar + 3 + full, '.', cells - full);
        bar[3 + cells] = ']';
        bar[4 + cells] = '\0';
    }
    if (taken > width) {
        taken -= strlen(speed);
        speed[0] = '\0';
    }
    if (taken > width && total)
        sizes[0] = '\0';
    snprintf(text, size, "%s%s%s%s%s%s%s", what, bar, percent, sizes[0] ? "  " : "", sizes, speed,
             left);
    if (width < size)
        text[width] = '\0';
}

void progress_start(const struct cli *cli, const char *what, uint64_t total) {
    progress_end();
    if (cli->json || !terminal_redraws(stderr))
        return;
    line.what = what;
    line.total = total;
    line.done_before = 0;
    line.rate = 0;
    line.shown = false;
    line.started = line.drawn = seconds();
}

static void draw(const char *text) {
    /* The last column stays free: some terminals go on to the next line when it is written. */
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    line.shown = true;
}

void progress_at(uint64_t done) {
    char text[256];
    if (!line.what)
        return;
    double now = seconds(), since = now - line.drawn;
    if (now - line.started < FIRST_SECONDS || since < REDRAW_SECONDS)
        return;
    double newest = (double)(done - line.done_before) / since;
    line.rate = line.rate > 0 ? (1 - NEWEST) * line.rate + NEWEST * newest : newest;
    line.done_before = done;
    line.drawn = now;
    progress_line(text, sizeof text, terminal_width(stderr) - 1, line.what, done, line.total,
                  line.rate);
    draw(text);
}

void progress_wait(const char *what) {
    if (line.what)
        draw(what);
}

void progress_end(void) {
    if (line.what && line.shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    line.what = NULL;
}
